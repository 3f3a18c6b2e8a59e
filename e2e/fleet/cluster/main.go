// Command cluster brings a whole fleet up on this machine: `make cluster`. It prints the address of the page and who
// runs where, keeps cluster.json in its data folder, starts a part again that dies, and takes everything down when it is
// interrupted.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"tutti/e2e/fleet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once, and with it everything that it started
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	c := fleet.Config{User: os.Getenv("TUTTI_ADMIN_USER"), Password: os.Getenv("TUTTI_ADMIN_PASSWORD")}
	flag.StringVar(&c.Bin, "bin", "bin/tutti", "the tutti program")
	flag.StringVar(&c.Dir, "data", "data/cluster", "folder for data, logs and keys")
	flag.StringVar(&c.Music, "music", "", "folder with music; it is read only. Without one, a demo album is composed")
	flag.IntVar(&c.Port, "port", 4533, "port of the page on 127.0.0.1; 0 is a free one")
	flag.IntVar(&c.Delivery, "delivery", 2, "delivery processes")
	flag.IntVar(&c.Catalog, "catalog", 2, "catalogue processes")
	flag.IntVar(&c.TrackCache, "trackcache", 3, "track cache processes")
	engine := flag.String("engine", string(fleet.DynamoDBLocal), fmt.Sprintf("what keeps the state: %q, %q or %q", fleet.DynamoDBLocal, fleet.Dynalite, fleet.SQLite))
	heal := flag.Bool("restart", true, "start a part again that ended by itself")
	flag.Parse()
	c.Engine = fleet.Engine(*engine)
	// All listeners of a fleet on loopback have the same address.
	c.Args = map[string][]string{fleet.RoleNginx: {"--nginx-rate", "20000", "--nginx-burst", "20000", "--nginx-connections", "20000"}}
	if flag.NArg() > 0 {
		return fmt.Errorf("unknown argument %q", flag.Arg(0))
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(c.Dir, "cluster.lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if c.Music, err = music(ctx, c); err != nil {
		return err
	}
	c.Progress = func(step string) { fmt.Fprintln(os.Stderr, step) }
	f, err := fleet.Start(ctx, c)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	fmt.Println("tutti cluster ready at", f.URL)
	fmt.Printf("sign in as %s with the password %s\n", f.User(), f.Password)
	if err := show(f); err != nil {
		return err
	}
	if *heal {
		f.Supervise(ctx, time.Second, func(line string) { fmt.Fprintln(os.Stderr, line) })
	} else {
		<-ctx.Done()
	}
	fmt.Fprintln(os.Stderr, "stopping")
	return f.Stop(context.WithoutCancel(ctx))
}

// music returns the folder to serve.
func music(ctx context.Context, c fleet.Config) (string, error) {
	if c.Music != "" {
		if info, err := os.Stat(c.Music); err != nil || !info.IsDir() {
			return "", fmt.Errorf("the music folder %s cannot be read (%v)", c.Music, err)
		}
		return c.Music, nil
	}
	dir := filepath.Join(c.Dir, "demo")
	return dir, fleet.Demo(ctx, c.Bin, dir)
}

// show prints who runs where.
func show(f *fleet.Fleet) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, e := range f.Table() {
		fmt.Fprintf(w, "  %s\t%s\tpid %d\n", e.Role, e.Address, e.PID)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Println("logs:", strings.TrimSuffix(f.LogDir(), "/"))
	return nil
}

// lock keeps a second cluster from the same data folder.
func lock(name string) (unlock func(), err error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("%s: another cluster runs with this data folder (%w)", name, err)
	}
	return func() { file.Close() }, nil
}
