package clock

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// burstSpacing lets queues that one packet met be gone for the next.
	burstSpacing = 50 * time.Millisecond
	// askTimeout is how long an answer may take.
	askTimeout = maxDelay
)

// Run asks the sources for the time until ctx ends. It always returns nil: that nobody answers is a state, not an end.
func (d *Disciplined) Run(ctx context.Context) error {
	var g errgroup.Group
	wait := func(ctx context.Context, t time.Duration) error { return Sleep(ctx, d.c.Timers, t) }
	for n := range d.sources {
		g.Go(func() error {
			for ctx.Err() == nil {
				if d.rest(ctx, d.ask(ctx, n, wait)) != nil {
					break
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// glance is how often who waits looks whether the machine was suspended meanwhile, and then waits no longer.
const glance = time.Minute

// rest waits until it is time to ask again.
func (d *Disciplined) rest(ctx context.Context, t time.Duration) error {
	d.mu.Lock()
	epoch := d.breaks
	d.mu.Unlock()
	for t > 0 {
		step := min(t, glance)
		if err := Sleep(ctx, d.c.Timers, step); err != nil {
			return err
		}
		t -= step
		d.mu.Lock()
		d.woke()
		slept := d.breaks != epoch
		d.mu.Unlock()
		if slept {
			return nil
		}
	}
	return ctx.Err()
}

// ask asks one source a burst of questions and returns when to ask it again.
func (d *Disciplined) ask(ctx context.Context, n int, wait func(context.Context, time.Duration) error) time.Duration {
	d.mu.Lock()
	f := d.sources[n]
	d.woke()
	epoch := d.breaks
	gone, questions, interval := f.gone, f.pace.Burst, time.Duration(1<<f.poll)*time.Second
	if f.poll < f.minPoll {
		questions = f.pace.Learning
	} else if allowed := int(interval / courtesy); allowed > questions {
		questions = min(allowed, f.pace.Learning)
	}
	d.mu.Unlock()
	if gone {
		return Far.Max
	}
	var answers []Exchange
	trouble, asked := "", 0
	for asked < questions {
		if asked > 0 && wait(ctx, burstSpacing) != nil {
			break
		}
		asked++
		within, cancel := context.WithTimeout(ctx, askTimeout)
		e, err := f.source.Ask(within)
		cancel()
		if ctx.Err() != nil {
			return 0
		}
		if err != nil {
			trouble = err.Error()
			if len(answers) == 0 && asked >= 2 {
				break // nobody there
			}
			continue
		}
		answers = append(answers, e)
		if e.Kiss != "" {
			break
		}
	}
	d.take(n, epoch, asked, answers, trouble)
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(1<<f.poll) * time.Second
}
