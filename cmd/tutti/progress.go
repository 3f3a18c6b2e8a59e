package main

import (
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows how long work gets on: a moving bar where a person watches, nothing in a pipe, where only the result
// counts.
type progress struct{ bar *progressbar.ProgressBar }

// newProgress begins a bar. unit is what is counted ("files"); "" counts bytes.
func newProgress(std *streams, what, unit string) *progress {
	if !std.errTTY {
		return &progress{}
	}
	options := []progressbar.Option{
		progressbar.OptionSetWriter(std.err),
		progressbar.OptionSetDescription(what),
		progressbar.OptionThrottle(100 * time.Millisecond),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionFullWidth(),
	}
	if unit == "" {
		options = append(options, progressbar.OptionShowBytes(true))
	} else {
		options = append(options, progressbar.OptionShowIts(), progressbar.OptionSetItsString(unit))
	}
	return &progress{bar: progressbar.NewOptions64(-1, options...)}
}

// set moves the bar. A total of 0 is not known yet.
func (p *progress) set(done, total int64) error {
	if p.bar == nil {
		return nil
	}
	if total > 0 && p.bar.GetMax64() != total {
		p.bar.ChangeMax64(total)
	}
	return p.bar.Set64(done)
}

// end takes the bar away.
func (p *progress) end() error {
	if p.bar == nil {
		return nil
	}
	return p.bar.Finish()
}

// plural formats a count with its noun.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
