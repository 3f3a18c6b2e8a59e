package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tutti"
)

// param describes one query parameter. Values outside the bounds, or of the wrong form, are refused.
type param struct {
	name     string
	doc      string
	kind     paramKind
	min, max int // of an integer
	def      int
	enum     []string // of a text; the first is the default
	many     bool     // may be given up to maxMany times
}

// maxMany is how often one parameter may be given.
const maxMany = 50

type paramKind uint8

const (
	text paramKind = iota
	integer
	boolean
)

// maxText is how long a text parameter may be, in bytes.
const maxText = 500

// params are a request's query parameters, checked.
type params map[string][]string

func (p params) text(name string) string {
	if len(p[name]) == 0 {
		return ""
	}
	return p[name][0]
}

// list is what a parameter was given that may be given several times; nil for nothing.
func (p params) list(name string) []string { return p[name] }

// int and bool were checked by readQuery, so they cannot fail here.
func (p params) int(name string) int { n, _ := strconv.Atoi(p.text(name)); return n }

func (p params) bool(name string) bool { return p.text(name) == "true" }

func (p params) page() tutti.Page { return tutti.Page{Offset: p.int("offset"), Limit: p.int("limit")} }

// readQuery checks a query string against the parameters that a route takes, and fills in the defaults.
func readQuery(raw string, known []param) (params, error) {
	const op = "api.readQuery"
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "the address's query cannot be read: it is not form-encoded")
	}
	for name, v := range values {
		i := slices.IndexFunc(known, func(p param) bool { return p.name == name })
		if i < 0 {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "there is no parameter %.40q here%s", name, listOf(known))
		}
		if len(v) > 1 && (!known[i].many || len(v) > maxMany) {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "the parameter %q is given %d times", name, len(v))
		}
	}
	out := make(params, len(known))
	for _, p := range known {
		given := slices.DeleteFunc(values[p.name], func(v string) bool { return v == "" })
		for _, v := range given {
			if err := p.check(v); err != nil {
				return nil, err
			}
		}
		switch {
		case len(given) > 0:
		case p.kind == integer:
			given = []string{strconv.Itoa(p.def)}
		case len(p.enum) > 0:
			given = p.enum[:1]
		}
		out[p.name] = given
	}
	return out, nil
}

func (p param) check(v string) error {
	const op = "api.readQuery"
	switch p.kind {
	case integer:
		if n, err := strconv.Atoi(v); err != nil || n < p.min || n > p.max {
			return tutti.Errorf(tutti.KindInvalid, op, "%q must be a whole number from %d to %d", p.name, p.min, p.max)
		}
	case boolean:
		if v != "true" && v != "false" {
			return tutti.Errorf(tutti.KindInvalid, op, "%q must be true or false", p.name)
		}
	default:
		if len(v) > maxText {
			return tutti.Errorf(tutti.KindInvalid, op, "%q is longer than %d bytes", p.name, maxText)
		}
		if len(p.enum) > 0 && !slices.Contains(p.enum, v) {
			return tutti.Errorf(tutti.KindInvalid, op, "%q must be one of: %s", p.name, strings.Join(p.enum, ", "))
		}
	}
	return nil
}

func listOf(known []param) string {
	if len(known) == 0 {
		return "; this address takes none"
	}
	names := make([]string, len(known))
	for i, p := range known {
		names[i] = p.name
	}
	return "; there are: " + strings.Join(names, ", ")
}

// readBody decodes the request's JSON body into into. It refuses other media types (which an HTML form could send from
// anywhere), members that into does not have, and anything after the value.
func readBody(w http.ResponseWriter, r *http.Request, into any) error {
	const op = "api.readBody"
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return tutti.Errorf(tutti.KindInvalid, op, "send the body as JSON, with Content-Type: application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			return tutti.Errorf(tutti.KindInvalid, op, "the body goes on after its JSON value")
		}
	}
	return bodyError(err)
}

// bodyError says what is wrong with a body in words for its author.
func bodyError(err error) error {
	const op = "api.readBody"
	var (
		large  *http.MaxBytesError
		syntax *json.SyntaxError
		typed  *json.UnmarshalTypeError
		parsed *time.ParseError
	)
	switch {
	case errors.As(err, &large):
		return &tutti.Error{Kind: tutti.KindInvalid, Op: op, Message: "the body is larger than " + strconv.Itoa(maxBody) + " bytes", Err: err}
	case errors.Is(err, io.EOF):
		return tutti.Errorf(tutti.KindInvalid, op, "the body is empty; it must be a JSON object")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return tutti.Errorf(tutti.KindInvalid, op, "the body ends in the middle of its JSON")
	case errors.As(err, &syntax):
		return tutti.Errorf(tutti.KindInvalid, op, "the body is not JSON: byte %d makes no sense", syntax.Offset)
	case errors.As(err, &typed):
		return tutti.Errorf(tutti.KindInvalid, op, "%q must be a JSON value of type %s, not %s", typed.Field, typed.Type, typed.Value)
	case errors.As(err, &parsed):
		return tutti.Errorf(tutti.KindInvalid, op, "%.40q is not a time as RFC 3339 writes it", parsed.Value)
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		return tutti.Errorf(tutti.KindInvalid, op, "the body has a member that is not known here: %.60s", strings.TrimPrefix(err.Error(), "json: unknown field "))
	}
	return &tutti.Error{Kind: tutti.KindInvalid, Op: op, Message: "the body could not be read", Err: err}
}

// bearerKey returns the app key in the Authorization header (RFC 6750 §2.1); ok is false where there is no such header.
func bearerKey(r *http.Request) (key string, ok bool) {
	scheme, key, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(key), ok && strings.EqualFold(scheme, "Bearer")
}
