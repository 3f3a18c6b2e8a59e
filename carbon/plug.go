package carbon

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tutti"
	"tutti/clock"
)

// PlugConfig is a plug or UPS that measures what the machine draws and says so over HTTP, in JSON.
type PlugConfig struct {
	URL   string // http or https
	Path  string // where the number is: "$.apower", "$.emeters[0].total"; see ParsePath
	Unit  string // of the number: "W" for power, "Wh", "kWh" or "J" for a counter of energy
	Clock clock.Clock
}

// Plug reads a plug. A counter is exact however seldom it is read; of a power, what happened between two readings is
// unknown, so that only readings that are close together count as a measurement.
type Plug struct {
	url    string
	path   []step
	joules float64 // of one unit of a counter; 0 for a power
	clock  clock.Clock
	client *http.Client
}

const (
	plugWait    = 2 * time.Second // for an answer: it is in the same house
	maxPlugJSON = 256 << 10       // bytes
	// plugClose is how far apart two readings of power may be for the mean of the two to count as measured.
	plugClose = time.Minute
	// maxPlugWatts is more than any plug can carry (16 A at 250 V).
	maxPlugWatts = 4000
)

// NewPlug returns a reader of a plug, which holds nothing. It returns KindInvalid for a configuration that cannot work.
func NewPlug(c PlugConfig) (*Plug, error) {
	const op = "carbon.NewPlug"
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "the plug's address must begin with http:// or https://")
	}
	path, err := parsePath(c.Path)
	if err != nil {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "%v", err)
	}
	unit, ok := map[string]float64{"W": 0, "J": 1, "Wh": 3600, "kWh": joulesPerKWh}[c.Unit]
	if !ok {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "a plug counts in W, Wh, kWh or J, not %q", c.Unit)
	}
	return &Plug{
		url: c.URL, path: path, joules: unit, clock: c.Clock,
		// One question at a time and far apart: a connection that is kept would only keep the plug awake.
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}},
	}, nil
}

// plugReading is what a plug said: power in watts, or a counter in joules.
type plugReading struct {
	value float64
	power bool
}

// read asks the plug, and waits no longer than plugWait. The address may hold a password and is not in the error.
func (p *Plug) read(ctx context.Context) (plugReading, error) {
	const op = "carbon: read the plug"
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer p.clock.AfterFunc(plugWait, cancel).Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return plugReading{}, tutti.Errorf(tutti.KindInvalid, op, "the plug's address cannot be asked")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		if u, ok := err.(*url.Error); ok { //nolint:errorlint // it is Do's own, which carries the address
			err = u.Err
		}
		return plugReading{}, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return plugReading{}, tutti.Errorf(tutti.KindUnavailable, op, "the plug answers %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPlugJSON+1))
	if err != nil {
		return plugReading{}, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if len(body) > maxPlugJSON {
		return plugReading{}, tutti.Errorf(tutti.KindUnavailable, op, "the plug's answer is longer than %d bytes", maxPlugJSON)
	}
	v, err := numberAt(body, p.path)
	if err != nil {
		return plugReading{}, tutti.Errorf(tutti.KindUnavailable, op, "%v", err)
	}
	if p.joules == 0 {
		if v > maxPlugWatts {
			return plugReading{}, tutti.Errorf(tutti.KindUnavailable, op, "the plug says %v W, which no plug carries; is the unit right?", v)
		}
		return plugReading{v, true}, nil
	}
	return plugReading{v * p.joules, false}, nil
}

// energy is what was used between two readings. ok is false where they do not tell: a counter that fell was reset, and
// one that leapt beyond what a plug carries was exchanged. measured is false for powers that are far apart.
func (r plugReading) energy(before plugReading, interval time.Duration) (used Joules, measured, ok bool) {
	if r.power {
		return Joules((before.value + r.value) / 2 * interval.Seconds()), interval <= plugClose, true
	}
	used = Joules(r.value - before.value)
	if used < 0 || float64(used) > maxPlugWatts*(interval.Seconds()+plugClose.Seconds()) {
		return 0, false, false
	}
	return used, true, true
}

// step is one step of a path: a member's name or an element's index.
type step struct {
	name  string
	index int // where name is ""
}

// maxSteps bounds a path.
const maxSteps = 32

// parsePath reads a singular query of JSONPath (RFC 9535 §2.3.5.1): names and indices, one value. "$.a.b[0]['c d']" is
// one; the leading "$." may be left out. Quotes within names are not escaped: no plug has any.
func parsePath(s string) ([]step, error) {
	bad := fmt.Errorf("%q is no path to a number; write for example $.apower or $.emeters[0].total", s)
	rest := strings.TrimPrefix(strings.TrimSpace(s), "$")
	if rest != "" && rest[0] != '.' && rest[0] != '[' {
		rest = "." + rest
	}
	var path []step
	for rest != "" {
		if len(path) == maxSteps {
			return nil, bad
		}
		if rest[0] == '.' {
			end := strings.IndexAny(rest[1:], ".[")
			if end < 0 {
				end = len(rest) - 1
			}
			if end == 0 {
				return nil, bad
			}
			path, rest = append(path, step{name: rest[1 : 1+end]}), rest[1+end:]
			continue
		}
		if rest[0] != '[' || len(rest) < 3 {
			return nil, bad
		}
		if q := rest[1]; q == '\'' || q == '"' {
			end := strings.Index(rest[2:], string(q)+"]")
			if end <= 0 {
				return nil, bad
			}
			path, rest = append(path, step{name: rest[2 : 2+end]}), rest[2+end+2:]
			continue
		}
		number, after, ok := strings.Cut(rest[1:], "]")
		n, err := strconv.ParseUint(number, 10, 16)
		if !ok || err != nil {
			return nil, bad
		}
		path, rest = append(path, step{index: int(n)}), after
	}
	if len(path) == 0 {
		return nil, bad
	}
	return path, nil
}

// numberAt finds a number that is not negative. Some plugs put theirs into quotes.
func numberAt(body []byte, path []step) (float64, error) {
	at := json.RawMessage(body)
	for _, s := range path {
		if s.name != "" {
			var object map[string]json.RawMessage
			if err := json.Unmarshal(at, &object); err != nil {
				return 0, fmt.Errorf("the plug's answer has nothing called %q", s.name)
			}
			next, ok := object[s.name]
			if !ok {
				return 0, fmt.Errorf("the plug's answer has nothing called %q", s.name)
			}
			at = next
			continue
		}
		var list []json.RawMessage
		if err := json.Unmarshal(at, &list); err != nil || s.index >= len(list) {
			return 0, fmt.Errorf("the plug's answer has no element %d", s.index)
		}
		at = list[s.index]
	}
	text := strings.TrimSpace(string(at))
	var quoted string
	if json.Unmarshal(at, &quoted) == nil {
		text = strings.TrimSpace(quoted)
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		return 0, fmt.Errorf("the plug's answer has no amount there")
	}
	return v, nil
}
