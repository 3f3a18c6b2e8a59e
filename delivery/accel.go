package delivery

import (
	"net/http"
	"time"

	"tutti"
)

// passFor is how long a proxy may fetch under one pass. It asks for one slice after the other as its listener takes them,
// so the pass must last as long as somebody may listen to one file, the longest of audiobooks. It need not last through
// pauses of more than ten minutes, in which the proxy drops the listener, whose player then asks for a pass anew. The key
// that seals passes can be taken away as long after it was last used.
const passFor = 12 * time.Hour

// redirect leaves the bytes to the proxy in front, if there is one that fetches them itself, and reports whether the
// request is answered. The answer tells the proxy where to, and the listener, through the proxy, what this process alone
// knows: file name, digest, duration.
//
// What can be answered without bytes is answered here: HEAD, 304, 412 and 416 for originals. Of what is made, nothing is
// known here but its name: its validators are the track cache's, which evaluates conditions and ranges. Three things are
// never left to the proxy: a length that is only a guess, which it could not keep; HEAD for what is made; and a form with a
// Range, which counts on GET only, while the proxy goes on with a GET.
func (a *answer) redirect() bool {
	if a.s.c.Accel == nil || a.r.Method != http.MethodGet && a.r.Header.Get("Range") != "" {
		return false
	}
	// Of a version and a size the bytes are known to be one thing for ever; only such may be taken in slices.
	fixed := a.kind == kindOriginal && a.size > 0 && a.ref.Version != "" && a.ref.Start == 0 && a.ref.End == 0
	if !fixed && (a.estimate > 0 || a.r.Method == http.MethodHead || a.kind == kindOriginal) {
		return false
	}
	if fixed && a.contentType == "" {
		a.contentType = "application/octet-stream" // better than an empty field, and nobody may guess
	}
	p := tutti.Pass{Ref: a.ref, Size: -1, ContentType: a.contentType, Duration: max(0, a.duration), Expires: a.s.c.Clock.Now().Add(passFor)}
	var v validators
	if fixed {
		v = validators{etag: etag(a.ref, a.size, a.modified), modified: a.modified}
		p.Size, p.ModTime, p.ETag, p.SHA256 = a.size, a.modified, v.etag, a.digest()
	}
	location, ok := a.s.c.Accel(a.r, p)
	if !ok {
		return false
	}
	part := span{0, -1}
	if fixed {
		var status int
		if part, status = a.choose(a.size, v); status != http.StatusOK && status != http.StatusPartialContent {
			return true
		}
		if a.r.Method == http.MethodHead {
			a.head(a.size, v)
			return true
		}
	}
	m := a.s.c.Metrics
	if part.start == 0 {
		m.starts.WithLabelValues(a.kind).Inc()
	}
	m.redirects.WithLabelValues(a.kind).Inc()
	m.served.Add(1)
	if part.length > 0 {
		m.redirectedBytes.Add(float64(part.length))
		a.played(part.length) // as far as anybody here knows
	} else if rate := a.ref.Profile.BitRate; !fixed && rate > 0 {
		a.played(int64(a.duration.Seconds() * float64(rate) * 1000 / 8))
	}
	h := a.w.Header()
	a.describe(h)
	v.set(h)
	h.Set("X-Accel-Redirect", location)
	h.Set("Content-Length", "0")
	a.w.WriteHeader(http.StatusOK)
	return true
}
