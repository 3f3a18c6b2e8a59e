package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"tutti/clock"
)

type clockSettings struct {
	Servers []string      `help:"Time server (NTP), as HOST or HOST:PORT; repeat for several. By default this machine's own clock is followed." env:"TUTTI_CLOCK_SERVERS" placeholder:"HOST"`
	Serve   bool          `help:"Serve the time (NTP) to the other processes, for a fleet without a time server." env:"TUTTI_CLOCK_SERVE"`
	Listen  string        `help:"UDP address to serve the time on." default:"127.0.0.1:1123" env:"TUTTI_CLOCK_LISTEN" placeholder:"HOST:PORT"`
	Limit   time.Duration `help:"Error bound above which the clock calls itself unsynchronised, and what depends on it waits." default:"100ms" env:"TUTTI_CLOCK_LIMIT"`
}

const (
	// firstTime is how long a start waits for a time server, so that the time is set before anybody has seen it.
	firstTime = 3 * time.Second
	// learning is how long `tutti clock` asks for itself where no server runs: some bursts, from which the rate follows.
	learning = 8 * time.Second
)

// newClock makes the clock that the settings describe.
func (s *settings) newClock(logger *slog.Logger) (*clock.Disciplined, error) {
	machine, begin := clock.NewMachine()
	c := clock.Config{Oscillator: machine, Begin: begin, Limit: s.Clock.Limit, Logger: logger}
	for _, address := range s.Clock.Servers {
		source, err := clock.NewNTP(address, machine, begin)
		if err != nil {
			return nil, fmt.Errorf("clock: servers: %w", err)
		}
		c.Sources = append(c.Sources, source)
	}
	if len(c.Sources) == 0 {
		c.Sources = []clock.Source{clock.Host{Oscillator: machine}}
	}
	return clock.NewDisciplined(c), nil
}

// keepTime gives the node a clock of its own and keeps it, until stop is called. It comes before everything else, so
// that nothing has read the time before it was set.
func (n *node) keepTime(ctx context.Context) (stop func() error, err error) {
	d, err := n.settings.newClock(n.logger)
	if err != nil {
		return nil, err
	}
	// The time goes on while everything else comes to its end.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	g, running := errgroup.WithContext(running)
	if n.settings.Clock.Serve {
		server, err := clock.Listen(n.settings.Clock.Listen, d, n.logger)
		if err != nil {
			cancel()
			return nil, err
		}
		n.logger.Info("serving time", "address", server.Address())
		g.Go(func() error { return server.Run(running) })
	}
	g.Go(func() error { return d.Run(running) })
	stop = func() error {
		cancel()
		return g.Wait()
	}
	timer := clock.System.NewTimer(firstTime)
	defer timer.Stop()
	select {
	case <-d.Ready():
	case <-timer.C():
		n.logger.Warn("no time server has answered yet; going on with the system's time", "waited", firstTime)
	case <-ctx.Done():
	}
	n.clock, n.time = d, d
	return stop, n.registry.Register(newClockMetrics(d.State))
}

type clockCmd struct {
	JSON bool `name:"json" help:"Print it as JSON."`
}

// Run prints what the running server knows of the time, and where none runs asks the time servers itself.
func (c clockCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) error {
	state, err := s.runningClock(ctx)
	if err != nil {
		fmt.Fprintf(std.err, "no server answers at %s (%v); asking for the time here, which takes %v\n", s.Listen[0], err, learning)
		if state, err = s.learnTime(ctx, logger); err != nil {
			return err
		}
	}
	if c.JSON {
		e := json.NewEncoder(std.out)
		e.SetIndent("", "  ")
		return e.Encode(state)
	}
	return printClock(std.out, state)
}

// runningClock asks the server that these settings describe.
func (s *settings) runningClock(ctx context.Context) (clock.State, error) {
	ctx, cancel := context.WithTimeout(ctx, firstTime)
	defer cancel()
	var health struct {
		Clock *clock.State `json:"clock"`
	}
	body, err := s.health(ctx)
	if err != nil {
		return clock.State{}, err
	}
	if err := json.Unmarshal(body, &health); err != nil {
		return clock.State{}, fmt.Errorf("what answers there is no tutti: %w", err)
	}
	if health.Clock == nil {
		return clock.State{}, errors.New("it says nothing of its clock")
	}
	return *health.Clock, nil
}

// health fetches /healthz from the first address of the settings.
func (s *settings) health(ctx context.Context) ([]byte, error) {
	if len(s.Listen) == 0 {
		return nil, errors.New("no address is configured")
	}
	network, address, scheme := "tcp", s.Listen[0], "http"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	} else if host, port, err := net.SplitHostPort(address); err == nil && (host == "" || net.ParseIP(host).IsUnspecified()) {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	certificate, err := loadTLS(s.HTTP)
	if err != nil {
		return nil, err
	}
	if certificate != nil {
		scheme = "https"
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		},
		TLSClientConfig: expecting(certificate),
	}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://localhost"+s.HTTP.BasePath+"/healthz", nil)
	if err != nil {
		return nil, err
	}
	reply, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusOK {
		return nil, errors.New(reply.Status)
	}
	return io.ReadAll(io.LimitReader(reply.Body, 1<<20))
}

// expecting trusts the one certificate that the server was given, whatever names stand in it: this is the same machine.
func expecting(c *tls.Config) *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // for the check below, which is stricter
		VerifyConnection: func(state tls.ConnectionState) error {
			if !bytes.Equal(state.PeerCertificates[0].Raw, c.Certificates[0].Certificate[0]) {
				return errors.New("another certificate than the configured one is shown there")
			}
			return nil
		},
	}
}

// learnTime asks the configured servers for a while.
func (s *settings) learnTime(ctx context.Context, logger *slog.Logger) (clock.State, error) {
	d, err := s.newClock(logger)
	if err != nil {
		return clock.State{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, learning)
	defer cancel()
	if err := d.Run(ctx); err != nil {
		return clock.State{}, err
	}
	return d.State(), nil
}

func printClock(w io.Writer, s clock.State) error {
	bound := func(d time.Duration) string {
		if d == clock.Unbounded {
			return "unknown"
		}
		return "± " + rough(d)
	}
	fmt.Fprintln(w, "state    ", s.Status)
	if s.Reason != "" {
		fmt.Fprintln(w, "          ", s.Reason)
	}
	direction := "behind"
	if s.System < 0 {
		direction = "ahead"
	}
	fmt.Fprintf(w, "bound     %s\nsystem    %s %s\nskew      %+.3f ppm\n", bound(s.Bound), rough(s.System.Abs()), direction, s.Skew)
	if s.Pending.Abs() > time.Microsecond {
		fmt.Fprintf(w, "to slew   %s\n", rough(s.Pending))
	}
	if s.Leap == clock.LeapAdd || s.Leap == clock.LeapDelete {
		fmt.Fprintln(w, "leap      a leap second is announced for the end of this month")
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tsource\tstratum\toffset\tbound\tdelay\tpoll\theard\tanswers\t")
	for _, o := range s.Sources {
		mark, heard := " ", "never"
		if o.Selected {
			mark = "*"
		}
		if o.Heard >= 0 {
			heard = o.Heard.Round(time.Second).String() + " ago"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%d of %d\t%s\n", mark, o.Name, o.Stratum, rough(o.Offset), bound(o.Bound), rough(o.Delay), o.Poll, heard, o.Good, o.Asked, o.Rejected)
	}
	return t.Flush()
}

// rough is a duration with three digits, which is all that anybody reads.
func rough(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	digits := math.Pow(10, math.Floor(math.Log10(math.Abs(float64(d))))-2)
	return d.Round(time.Duration(max(1, digits))).String()
}

// clockMetrics shows the clock's state, read when somebody asks for metrics.
type clockMetrics struct {
	state func() clock.State

	synchronised, offset, bound, pending, skew, stratum *prometheus.Desc
	selected, from, sourceBound, delay, questions, good *prometheus.Desc
}

func newClockMetrics(state func() clock.State) *clockMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tutti_clock_"+name, help, labels, nil)
	}
	return &clockMetrics{
		state:        state,
		synchronised: desc("synchronised", "1 while the time is confirmed by a majority of the sources, 0.5 in holdover, 0 while it is not."),
		offset:       desc("system_offset_seconds", "What the system's clock is behind this one."),
		bound:        desc("bound_seconds", "The most that the time can be wrong by; +Inf where nothing is known."),
		pending:      desc("pending_seconds", "What is still to be slewed."),
		skew:         desc("skew_ppm", "What the oscillator is slow by, in parts per million."),
		stratum:      desc("stratum", "Of the best source that is followed; 0 for none."),
		selected:     desc("source_selected", "1 for sources that are followed.", "source"),
		from:         desc("source_offset_seconds", "What the clock is behind the source.", "source"),
		sourceBound:  desc("source_bound_seconds", "The most that the source can be wrong by, as far as its word and the delays go.", "source"),
		delay:        desc("source_delay_seconds", "Round trip of the last exchange.", "source"),
		questions:    desc("source_questions_total", "Questions asked.", "source"),
		good:         desc("source_answers_total", "Answers that were of use.", "source"),
	}
}

// Describe implements prometheus.Collector.
func (m *clockMetrics) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(m, ch) }

// Collect implements prometheus.Collector.
func (m *clockMetrics) Collect(ch chan<- prometheus.Metric) {
	s := m.state()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	seconds := func(d time.Duration) float64 {
		if d == clock.Unbounded {
			return math.Inf(1)
		}
		return d.Seconds()
	}
	gauge(m.synchronised, map[clock.Status]float64{clock.Synchronised: 1, clock.Holdover: 0.5}[s.Status])
	gauge(m.offset, s.System.Seconds())
	gauge(m.bound, seconds(s.Bound))
	gauge(m.pending, s.Pending.Seconds())
	gauge(m.skew, s.Skew)
	gauge(m.stratum, float64(s.Stratum))
	seen := map[string]bool{}
	for _, o := range s.Sources {
		if seen[o.Name] {
			continue // named twice in the settings
		}
		seen[o.Name] = true
		selected := 0.0
		if o.Selected {
			selected = 1
		}
		gauge(m.selected, selected, o.Name)
		gauge(m.from, o.Offset.Seconds(), o.Name)
		gauge(m.sourceBound, seconds(o.Bound), o.Name)
		gauge(m.delay, o.Delay.Seconds(), o.Name)
		ch <- prometheus.MustNewConstMetric(m.questions, prometheus.CounterValue, float64(o.Asked), o.Name)
		ch <- prometheus.MustNewConstMetric(m.good, prometheus.CounterValue, float64(o.Good), o.Name)
	}
}
