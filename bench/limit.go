package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"tutti/clock"
	"tutti/e2e/fleet"
)

// benchLimit measures a spike beyond what nginx is configured to let through: what those are told who are turned away, and
// what it costs the others.
func benchLimit(ctx context.Context, o options, _, big string) (s section, err error) {
	const (
		others, crowd      = 50, 1000
		requests, together = 200, 300
		rate               = 256_000 / 8
	)
	s = section{
		title: "A spike beyond the limit",
		how: fmt.Sprintf("nginx lets an address have %d streams at a time (--nginx-connections) and make %d requests at once and 100 a second. %d listeners at 256 kbit/s play from one address; "+
			"then %d come within one second from another. Reference: the %d without the crowd. The clients share the machine.", together, requests+together, others, crowd, others),
	}
	k, err := startFleet(ctx, o, "limit-fleet", big, func(c *fleet.Config) {
		c.Args[fleet.RoleNginx] = []string{"--nginx-rate", "100", "--nginx-burst", fmt.Sprint(requests + together), "--nginx-connections", fmt.Sprint(together)}
	})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, k.end()) }()
	quiet, loud := k.server, k.server
	quiet.from, loud.from = net.IPv4(127, 0, 0, 3), net.IPv4(127, 0, 0, 2)
	for range 2 { // the first warms up
		if _, err := paced(ctx, &quiet, others, rate, time.Second, 4*time.Second, k.tracks); err != nil {
			return s, err
		}
	}
	alone, err := paced(ctx, &quiet, others, rate, time.Second, 8*time.Second, k.tracks)
	if err != nil {
		return s, err
	}
	var with, refused pacedResult
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		with, err = paced(gctx, &quiet, others, rate, 4*time.Second, 5*time.Second, k.tracks) // some start in the midst of it
		return err
	})
	g.Go(func() (err error) {
		if err := clock.Sleep(gctx, clock.System, 2*time.Second); err != nil {
			return err
		}
		refused, err = paced(gctx, &loud, crowd, rate, time.Second, 4*time.Second, k.tracks)
		return err
	})
	if err := g.Wait(); err != nil {
		return s, err
	}
	s.add("the crowd", fmt.Sprintf("%d of %d listen, %d do not %s", crowd-refused.late, crowd, refused.late, reasons(refused)), "", "", "429 with Retry-After")
	s.add("told so after, p99", ms(percentile(refused.refusedAfter, .99)), "", "", "≤ 50 ms")
	s.add("the others: first byte, p99", ms(percentile(with.firstBytes, .99)), ms(percentile(alone.firstBytes, .99)), ratio(percentile(with.firstBytes, .99), percentile(alone.firstBytes, .99)), "≤ 50 ms")
	s.add("the others: late or refused", fmt.Sprintf("%d of %d %s", with.late, others, reasons(with)), fmt.Sprintf("%d of %d", alone.late, others), "", "0")
	return s, nil
}
