package subsonic

import (
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tutti"
)

// Limits of a request's parameters. They are far above what a client has reason to send, and bound what one request
// can cost: a play queue of 100,000 songs still fits.
const (
	maxBody       = 8 << 20
	maxParams     = 120_000
	maxValueBytes = 16 << 10
	maxIDBytes    = 256
)

// params are a request's parameters in their order, from the query and then from the form. net/url would refuse more
// than 10,000 of them, which a saved play queue can well be, and build a map of slices for every request.
//
// The typed readers below remember the first thing they find wrong and then go on; err returns it. So a handler reads
// all that it wants and asks once.
type params struct {
	list  []param
	wrong error
}

type param struct{ key, value string }

func (p *params) err() error { return p.wrong }

func (p *params) fail(code int, format string, args ...any) {
	if p.wrong == nil {
		p.wrong = failf(code, format, args...)
	}
}

// parse reads the query and, of a POST with a form, the body.
func (p *params) parse(w http.ResponseWriter, r *http.Request) error {
	if err := p.add(r.URL.RawQuery); err != nil {
		return err
	}
	if r.Method != http.MethodPost || r.Body == nil {
		return nil
	}
	media := r.Header.Get("Content-Type")
	if media == "" {
		return nil
	}
	kind, _, err := mime.ParseMediaType(media)
	if err != nil {
		return failf(codeGeneric, "the Content-Type of the request cannot be read: send application/x-www-form-urlencoded")
	}
	if kind != "application/x-www-form-urlencoded" {
		return nil // the JSON body of getTranscodeDecision is read by its handler
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return failf(codeGeneric, "the form could not be read: it must arrive whole and hold at most %d MiB", maxBody>>20)
	}
	return p.add(string(body))
}

func (p *params) add(query string) error {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if pair == "" {
			continue
		}
		if len(p.list) == maxParams {
			return failf(codeGeneric, "too many parameters: at most %d are read", maxParams)
		}
		k, v, _ := strings.Cut(pair, "=")
		key, ok1 := unescape(k)
		value, ok2 := unescape(v)
		if !ok1 || !ok2 {
			return failf(codeGeneric, "a parameter is not percent-encoded as it should be")
		}
		if len(value) > maxValueBytes {
			return failf(codeGeneric, "a parameter is too long: at most %d bytes are read", maxValueBytes)
		}
		p.list = append(p.list, param{key, value})
	}
	return nil
}

// unescape undoes the encoding of application/x-www-form-urlencoded (https://url.spec.whatwg.org/#urlencoded-parsing),
// but refuses a broken percent sign: guessing at an id or a password helps nobody. What is not UTF-8 is replaced.
func unescape(s string) (string, bool) {
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c == '%' || c == '+' || c >= utf8.RuneSelf {
			plain = false
			break
		}
	}
	if plain {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			b = append(b, ' ')
		case '%':
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi < 0 || lo < 0 {
				return "", false
			}
			b = append(b, byte(hi<<4|lo))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return strings.ToValidUTF8(string(b), "\ufffd"), true
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// lookup returns the first value of a parameter and whether it was sent at all.
func (p *params) lookup(name string) (string, bool) {
	for i := range p.list {
		if p.list[i].key == name {
			return p.list[i].value, true
		}
	}
	return "", false
}

// get returns the first value of a parameter, or "".
func (p *params) get(name string) string {
	v, _ := p.lookup(name)
	return v
}

// need returns a parameter that must be there.
func (p *params) need(name string) string {
	v := p.get(name)
	if v == "" {
		p.fail(codeMissing, "the required parameter %q is missing", name)
	}
	return v
}

// all returns every value of a repeated parameter.
func (p *params) all(name string) []string {
	var vs []string
	for i := range p.list {
		if p.list[i].key == name && p.list[i].value != "" {
			vs = append(vs, p.list[i].value)
		}
	}
	return vs
}

func (p *params) asID(name, v string) tutti.ID {
	if len(v) > maxIDBytes {
		p.fail(codeGeneric, "the parameter %q is too long to be an id", name)
		return ""
	}
	return tutti.ID(v)
}

// id returns a required id.
func (p *params) id(name string) tutti.ID { return p.asID(name, p.need(name)) }

// ids returns every id of a repeated parameter.
func (p *params) ids(name string) []tutti.ID {
	vs := p.all(name)
	ids := make([]tutti.ID, len(vs))
	for i, v := range vs {
		ids[i] = p.asID(name, v)
	}
	return ids
}

// limited returns a text, or an error where it has more than limit characters.
func (p *params) limited(name string, limit int) string {
	v := p.get(name)
	if utf8.RuneCountInString(v) > limit {
		p.fail(codeGeneric, "the parameter %q is too long: at most %d characters", name, limit)
		return ""
	}
	return v
}

func (p *params) asInt(name, v string, least, most int64) int64 {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil {
		p.fail(codeGeneric, "the parameter %q must be a whole number", name)
		return 0
	}
	if n < least || n > most {
		p.fail(codeGeneric, "the parameter %q must be from %d to %d", name, least, most)
		return 0
	}
	return n
}

// int returns a whole number from least to most, or byDefault if it was not sent.
func (p *params) int(name string, byDefault, least, most int64) int64 {
	v := p.get(name)
	if v == "" {
		return byDefault
	}
	return p.asInt(name, v, least, most)
}

// count returns how many of something is wanted. More than most is most: the specification words its limits so.
func (p *params) count(name string, byDefault, most int) int {
	return int(min(p.int(name, int64(byDefault), 0, 1<<40), int64(most)))
}

// offset returns where a page begins.
func (p *params) offset(name string) int { return int(p.int(name, 0, 0, 1<<40)) }

func (p *params) bool(name string, byDefault bool) bool {
	switch v := p.get(name); strings.ToLower(v) {
	case "":
		return byDefault
	case "true", "1", "on", "yes":
		return true
	case "false", "0", "off", "no":
		return false
	default:
		p.fail(codeGeneric, "the parameter %q must be true or false", name)
		return byDefault
	}
}

// float returns a finite number from least to most, or byDefault if it was not sent.
func (p *params) float(name string, byDefault, least, most float64) float64 {
	v := p.get(name)
	if v == "" {
		return byDefault
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !(f >= least && f <= most) { // written so that NaN is refused
		p.fail(codeGeneric, "the parameter %q must be a number from %g to %g", name, least, most)
		return byDefault
	}
	return f
}

// maxMillis keeps times within the years that RFC 3339 can write and lengths within a time.Duration.
const maxMillis = 9_000_000_000_000 // the year 2255

// millis returns a length of time sent in milliseconds.
func (p *params) millis(name string) time.Duration {
	return time.Duration(p.int(name, 0, 0, maxMillis)) * time.Millisecond
}

// moment returns a time sent in milliseconds since 1970, or the zero time.
func (p *params) moment(name string) time.Time {
	if ms := p.int(name, 0, 0, maxMillis); ms > 0 {
		return time.UnixMilli(ms).UTC()
	}
	return time.Time{}
}
