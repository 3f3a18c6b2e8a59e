package subsonic_test

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestOpenAPI checks every golden JSON answer against the specification's own OpenAPI description, which is not kept
// here: TUTTI_OPENSUBSONIC_SPEC names a checkout of https://github.com/opensubsonic/open-subsonic-api. It also finds
// endpoints that the specification has and this package's table lacks.
func TestOpenAPI(t *testing.T) {
	spec := os.Getenv("TUTTI_OPENSUBSONIC_SPEC")
	if spec == "" {
		t.Skip("TUTTI_OPENSUBSONIC_SPEC does not name a checkout of the specification")
	}
	dir, err := filepath.Abs(filepath.Join(spec, "openapi", "endpoints"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no endpoints in %s: %v", dir, err)
	}
	known := map[string]bool{}
	for _, row := range coverage {
		known[row.Name] = true
	}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), ".json")
		if !known[name] {
			t.Errorf("%s is in the specification, but not in the table", name)
		}
		delete(known, name)
	}
	for name := range known {
		t.Errorf("%s is in the table, but not in the specification", name)
	}

	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for _, g := range goldens {
		endpoint := endpointOf(g.ask)
		t.Run(g.name, func(t *testing.T) {
			where := responseSchema(t, filepath.Join(dir, endpoint+".json"))
			sch, err := c.Compile(where)
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join("testdata", "golden", g.name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			if err := sch.Validate(doc); err != nil {
				t.Error(err)
			}
		})
	}
}

// responseSchema returns the address of the schema of an endpoint's JSON answer. An answer is in the endpoint's file
// or, by reference, in a file of its own.
func responseSchema(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type response struct {
		Ref string `json:"$ref"`
	}
	var doc map[string]struct {
		Responses map[string]response `json:"responses"`
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	method := "get"
	if _, ok := doc[method]; !ok {
		method = "post"
	}
	const content = "/content/application~1json/schema"
	fileURL := func(path string) string { return (&url.URL{Scheme: "file", Path: path}).String() }
	if ref := doc[method].Responses["200"].Ref; ref != "" {
		return fileURL(filepath.Join(filepath.Dir(file), ref)) + "#" + content
	}
	return fileURL(file) + "#/" + method + "/responses/200" + content
}
