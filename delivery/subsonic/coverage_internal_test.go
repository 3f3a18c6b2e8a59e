package subsonic

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// TestWrites looks that whatever is served and is no question is known to change something: an endpoint that was forgotten
// would be repeated by proxies.
func TestWrites(t *testing.T) {
	writes := Writes()
	for i := range endpoints {
		e := &endpoints[i]
		asks := strings.HasPrefix(e.name, "get") || strings.HasPrefix(e.name, "search") || e.bytes || slices.Contains([]string{"ping", "tokenInfo", "findSonicPath"}, e.name)
		if e.serve != nil && asks == slices.Contains(writes, e.name) {
			t.Errorf("%s: it changes something (%v), says the table", e.name, e.writes)
		}
		if !e.writes {
			continue
		}
		for method, fine := range map[string]bool{http.MethodGet: true, http.MethodPost: true, http.MethodHead: false} {
			if err := methodOf(e, httptest.NewRequest(method, "/rest/"+e.name, nil)); (err == nil) != fine {
				t.Errorf("%s %s: %v", method, e.name, err)
			}
		}
	}
}
