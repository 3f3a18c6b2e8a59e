package subsonic_test

import (
	"strings"
	"testing"

	"tutti/clock"
)

// FuzzRequest asks any endpoint for anything. Whatever the answer is, it is well formed, in both forms, and made of
// nothing but what the specification has.
func FuzzRequest(f *testing.F) {
	for _, g := range goldens {
		name, query, _ := strings.Cut(strings.TrimPrefix(g.ask, "POST "), "?")
		f.Add(name, query, g.body)
	}
	f.Add("stream", "id="+tr1+"&format=raw", "")
	f.Add("hls.m3u8", "id="+tr1+"&bitRate=1&bitRate=2", "")
	f.Add("hls.ts", "id="+tr1+"&segment=1&params=1-hls-ts-64-0-0-0", "")
	f.Add("ping", "f=jsonp&callback=x", "%")
	f.Add("getTranscodeStream", "mediaType=song&mediaId="+tr1+"&transcodeParams=1-http-mp3-128-0-0-0", "id=1")
	rules := readSchema(f)
	bytes := map[string]bool{"hls.ts": true, "hls": true}
	for _, row := range coverage {
		bytes[row.Name] = row.Bytes
	}
	fake := clock.NewFake(epoch)
	shared := openAccounts(f, fake)
	f.Fuzz(func(t *testing.T, name, query, body string) {
		if strings.Contains(strings.ToLower(name), "user") || strings.Contains(name, "assword") {
			return // they change the accounts that all share; TestUsers has them
		}
		for _, form := range []string{"json", "xml"} {
			h := newHouse(t, fake, shared)
			request := strings.ReplaceAll(name, "?", "") + "?" + as(operator) + "&f=" + form + "&" + query
			if body != "" {
				request = "POST " + request
			}
			w := h.ask(strings.ReplaceAll(request, " ", "+"), "", body)
			if endpoint := strings.TrimSuffix(name, ".view"); !bytes[endpoint] || strings.Contains(w.Header().Get("Content-Type"), form) {
				problems := rules.problemsJSON
				if strings.HasPrefix(w.Header().Get("Content-Type"), "text/xml") {
					problems = rules.problemsXML
				}
				for _, p := range problems(endpoint[strings.LastIndexByte(endpoint, '/')+1:], w.Body.Bytes()) {
					t.Errorf("%s: %s", request, p)
				}
			}
		}
	})
}
