package subsonic

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"sync"

	"tutti"
)

// The error codes of the specification (its page "error").
const (
	codeGeneric       = 0
	codeMissing       = 10
	codeClientTooOld  = 20
	codeServerTooOld  = 30
	codeWrongPassword = 40
	codeNoToken       = 41 // a token cannot be checked for this account
	codeMechanism     = 42 // this way of signing in is not offered
	codeConflicting   = 43
	codeWrongKey      = 44
	codeForbidden     = 50
	codeTrialOver     = 60 // never sent: there is nothing to buy
	codeNotFound      = 70
)

// codes maps the kinds of failure to Subsonic's codes; it is the only place that does. What has no code of its own is
// "a generic error", whose message says what is the matter.
var codes = [...]int{
	tutti.KindInternal:     codeGeneric,
	tutti.KindNotFound:     codeNotFound,
	tutti.KindInvalid:      codeGeneric,
	tutti.KindConflict:     codeGeneric,
	tutti.KindUnauthorised: codeWrongPassword,
	tutti.KindForbidden:    codeForbidden,
	tutti.KindExhausted:    codeGeneric,
	tutti.KindUnavailable:  codeGeneric,
}

// failure is an error that this wire itself found: its code is chosen, not mapped from a kind.
type failure struct {
	code    int
	status  int // of the HTTP answer; 0 is 200
	message string
}

func (f *failure) Error() string { return f.message }

func failf(code int, format string, args ...any) error {
	return &failure{code: code, message: fmt.Sprintf(format, args...)}
}

// describe returns the code and the message that the client is told of an error.
func describe(err error) (code int, message string) {
	var f *failure
	if errors.As(err, &f) {
		return f.code, f.message
	}
	k := tutti.KindOf(err)
	if int(k) >= len(codes) {
		k = tutti.KindInternal
	}
	return codes[k], tutti.Message(err)
}

// httpStatus returns the status for the one endpoint whose errors have HTTP's own codes, getTranscodeStream.
func httpStatus(err error) int {
	code, _ := describe(err)
	switch code {
	case codeMissing:
		return http.StatusBadRequest
	case codeWrongPassword, codeNoToken, codeMechanism, codeConflicting, codeWrongKey:
		return http.StatusUnauthorized
	case codeForbidden:
		return http.StatusForbidden
	case codeNotFound:
		return http.StatusNotFound
	}
	var f *failure
	if errors.As(err, &f) {
		return http.StatusBadRequest
	}
	switch tutti.KindOf(err) {
	case tutti.KindInvalid:
		return http.StatusBadRequest
	case tutti.KindConflict:
		return http.StatusConflict
	case tutti.KindExhausted, tutti.KindUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// form is the shape of an answer.
type form struct {
	xml      bool
	callback string // of JSONP; else ""
}

// callbackName admits dotted JavaScript identifiers and nothing that could be script by itself.
var callbackName = sync.OnceValue(func() *regexp.Regexp { // a large one, and hardly any app needs it
	return regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]{0,63}(\.[A-Za-z_$][A-Za-z0-9_$]{0,63}){0,7}$`)
})

// formOf reads which form the client wants. Where it asks for one that there is not, the error is told in XML, the
// form of a client that asks for none.
func formOf(p *params) (form, error) {
	switch f := p.get("f"); f {
	case "", "xml":
		return form{xml: true}, nil
	case "json":
		return form{}, nil
	case "jsonp":
		callback := p.get("callback")
		if callback == "" {
			return form{}, failf(codeMissing, "the required parameter %q is missing", "callback")
		}
		if !callbackName().MatchString(callback) {
			return form{}, failf(codeGeneric, "the parameter %q must be the name of a JavaScript function", "callback")
		}
		return form{callback: callback}, nil
	default:
		return form{xml: true}, failf(codeGeneric, `the parameter "f" must be xml, json or jsonp`)
	}
}

func (f form) contentType() string {
	switch {
	case f.xml:
		return "text/xml; charset=utf-8"
	case f.callback != "":
		return "application/javascript; charset=utf-8"
	}
	return "application/json; charset=utf-8"
}

// encoders keeps buffers between answers. One that grew beyond maxKept is let go, lest one listing of a whole library
// keep its memory for ever.
var encoders = sync.Pool{New: func() any { return &encoder{buf: make([]byte, 0, 16<<10)} }}

const maxKept = 1 << 20

func newEncoder(f form, serverVersion, status string) *encoder {
	e := encoders.Get().(*encoder)
	e.start(f, serverVersion, status)
	return e
}

func (e *encoder) release() {
	if cap(e.buf) <= maxKept {
		encoders.Put(e)
	}
}

// start begins the envelope of every answer, the element subsonic-response, over whatever was written before.
func (e *encoder) start(f form, serverVersion, status string) {
	e.buf, e.frames, e.xml = e.buf[:0], e.frames[:0], f.xml
	if f.xml {
		e.buf = append(e.buf, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<subsonic-response xmlns="http://subsonic.org/restapi"`...)
	} else {
		if f.callback != "" {
			e.buf = append(e.buf, f.callback...)
			e.buf = append(e.buf, '(')
		}
		e.buf = append(e.buf, `{"subsonic-response":{`...)
	}
	e.frames = append(e.frames, frame{name: "subsonic-response", inTag: f.xml})
	e.str("status", status)
	e.str("version", apiVersion)
	e.str("type", serverType)
	e.str("serverVersion", serverVersion)
	e.bool("openSubsonic", true)
}

// finish ends the envelope.
func (e *encoder) finish(f form) {
	e.close()
	if f.xml {
		return
	}
	e.buf = append(e.buf, '}')
	if f.callback != "" {
		e.buf = append(e.buf, ')', ';')
	}
}

// send writes a finished answer.
func (e *encoder) send(w http.ResponseWriter, f form, status int) {
	h := w.Header()
	h.Set("Content-Type", f.contentType())
	h.Set("Content-Length", strconv.Itoa(len(e.buf)))
	h.Set("Cache-Control", "private, no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	// A client that went away is no failure of ours, and there is nobody left to tell.
	_, _ = w.Write(e.buf)
}
