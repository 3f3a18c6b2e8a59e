// Command bench measures tutti as a whole process, next to nginx serving the same files statically in the same run,
// and writes docs/benchmarks.md. The machine it runs on is part of every figure, so speeds are given as ratios and
// costs as CPU time a unit; measurements of the two servers take turns, and medians count.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tutti/deploy/capacity"
)

type options struct {
	bin, scratch, out string
	only              string // names of measurements, separated by commas; "" is all
	files             int    // of the real library
	synthetic         []int  // tracks of the synthetic catalogues
	listeners         int
	idle, hold        time.Duration
	scaleBy           int    // of the simulated fleets, what part is simulated
	plays             string // a record of real plays; "" is none
	merge             bool   // keep the sections of out that are not measured now
	measured          string // where the figures of capacity plans go; "" is nowhere
	ledger            *ledger
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == publisherCommand {
		if err := publish(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 4 && os.Args[1] == authoriserCommand {
		if err := authorise(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
	if len(os.Args) == 3 && os.Args[1] == bareCommand {
		if err := serveNothing(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
	var o options
	flag.StringVar(&o.bin, "bin", "bin/tutti", "the program to measure")
	flag.StringVar(&o.scratch, "scratch", filepath.Join(os.TempDir(), "tutti-bench"), "where libraries are made and kept for the next run")
	flag.StringVar(&o.out, "out", "docs/benchmarks.md", "where to write the tables; - prints them only")
	flag.IntVar(&o.files, "files", 5000, "files of the real library")
	sizes := flag.String("synthetic", "100000,500000,2000000", "tracks of the synthetic catalogues, separated by commas")
	flag.IntVar(&o.listeners, "listeners", 3000, "paced listeners")
	flag.DurationVar(&o.idle, "idle", 60*time.Second, "how long to watch an idle server")
	flag.DurationVar(&o.hold, "hold", 20*time.Second, "how long the paced listeners play")
	flag.StringVar(&o.only, "only", "", "measure only these, of "+strings.Join(names(), ", ")+" (separated by commas); prints the tables, or puts them in their places in -out where that is given")
	flag.StringVar(&o.plays, "plays", filepath.Join(os.TempDir(), "tutti-bench", "plays.tsv"), "a record of real plays, made by bench/traffic/fetch.py; left out where there is none")
	flag.IntVar(&o.scaleBy, "scale-by", 10, "simulate one in so many of the listeners, tracks and machines of docs/scale.md; 1 is all, and takes many minutes")
	flag.StringVar(&o.measured, "measured", "deploy/capacity/measured.json", "where to write what tutti plan reckons with; - nowhere")
	flag.Parse()
	if o.only != "" {
		given := false
		flag.Visit(func(f *flag.Flag) { given = given || f.Name == "out" })
		if o.merge = given; !given {
			o.out = "-"
		}
	}
	if o.measured == "-" || o.out == "-" {
		o.measured = ""
	}
	o.scaleBy = max(1, o.scaleBy)
	o.ledger = &ledger{values: map[string]capacity.Figure{}}
	for _, size := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(size)
		if err != nil || n < 1000 {
			fmt.Fprintf(os.Stderr, "bench: %q is no number of tracks from 1,000 on\n", size)
			os.Exit(2)
		}
		o.synthetic = append(o.synthetic, n)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if err := raiseFileLimit(); err != nil {
		return err
	}
	real, big := filepath.Join(o.scratch, "real"), filepath.Join(o.scratch, "big")
	if o.wanted(withReal) {
		if err := realLibrary(ctx, real, o.files, os.Stderr); err != nil {
			return err
		}
	}
	if o.wanted(withBig) {
		if err := bigFiles(ctx, big, 8, 240); err != nil {
			return err
		}
	}
	var sections []section
	for _, measurement := range measurements {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), measurement.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring:", measurement.name)
		s, err := measurement.run(ctx, o, real, big)
		if err != nil {
			return fmt.Errorf("%s: %w", measurement.name, err)
		}
		if err := write(os.Stderr, s); err != nil {
			return err
		}
		sections = append(sections, s...)
	}
	if o.out == "-" {
		return write(os.Stdout, sections)
	}
	if o.merge {
		kept, err := readSections(o.out)
		if err != nil {
			return err
		}
		sections = merge(kept, sections)
	}
	f, err := os.Create(o.out)
	if err != nil {
		return err
	}
	fmt.Fprintf(f, `# Benchmarks

Made by `+"`make bench`"+` on %d cores (%s/%s, %s). Both servers and the load share the machine, so look at ratios and at
CPU time a unit; milliseconds of latency are this machine's, on that day. The bars are ours, set before measuring;
where a figure falls short of its bar, that is what was measured. One table again: `+"`go run ./bench -only NAME -out docs/benchmarks.md`"+`,
with NAME of %s.

`, runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), strings.Join(names(), ", "))
	if err := errors.Join(write(f, sections), f.Close()); err != nil || o.measured == "" {
		return err
	}
	return o.ledger.write(o.measured)
}

// withReal are the measurements that need many small files, withBig those that need few large ones.
var (
	withReal = []string{"scan", "idle"}
	withBig  = []string{"bytes", "crowd", "fleet", "limit", "tls"}
)

// wanted reports whether any of some measurements is to be made.
func (o options) wanted(names []string) bool {
	return o.only == "" || slices.ContainsFunc(strings.Split(o.only, ","), func(name string) bool { return slices.Contains(names, name) })
}

// measurements are what there is to measure, in the order of the page.
var measurements = []struct {
	name string
	run  func(context.Context, options, string, string) ([]section, error)
}{
	{"scan", one(benchScan)},
	{"api", benchAPI},
	{"bytes", one(benchBytes)},
	{"crowd", one(benchCrowd)},
	{"idle", one(benchIdle)},
	{"fleet", benchFleet},
	{"limit", one(benchLimit)},
	{"cold", benchCold},
	{"grow", benchGrow},
	{"tls", one(benchTLS)},
	{"hits", benchHits},
	{"scale", benchScale},
}

func names() (out []string) {
	for _, m := range measurements {
		out = append(out, m.name)
	}
	return out
}

// one makes a list of a measurement that gives one table.
func one(run func(context.Context, options, string, string) (section, error)) func(context.Context, options, string, string) ([]section, error) {
	return func(ctx context.Context, o options, real, big string) ([]section, error) {
		s, err := run(ctx, o, real, big)
		return []section{s}, err
	}
}

// raiseFileLimit allows as many open connections as the hard limit does.
func raiseFileLimit() error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	l.Cur = l.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
}

// fresh returns an empty data folder.
func fresh(o options, name string) (string, error) {
	dir := filepath.Join(o.scratch, "data-"+name)
	return dir, os.RemoveAll(dir)
}
