package subsonic_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// schema is testdata/schema.txt, by which every answer in this package's tests is checked in both forms.
type schema struct {
	types     map[string][]rule
	endpoints map[string][]rule // what answers each
}

type rule struct {
	name     string
	typ      string // "string", "integer 1 to 5", "list of Child", …
	required bool
}

func readSchema(t testing.TB) *schema {
	t.Helper()
	b, err := os.ReadFile("testdata/schema.txt")
	if err != nil {
		t.Fatal(err)
	}
	s := &schema{types: map[string][]rule{}, endpoints: map[string][]rule{}}
	current := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "" || line[0] == '#':
		case line[0] != '\t':
			current = line
			s.types[current] = []rule{}
		case current == "ENDPOINTS":
			f := strings.SplitN(line[1:], " ", 3)
			s.endpoints[f[0]] = append(s.endpoints[f[0]], rule{name: f[1], typ: f[2]})
		default:
			name, typ, ok := strings.Cut(line[1:], " ")
			if !ok {
				t.Fatalf("schema.txt: %q", line)
			}
			r := rule{name: strings.TrimRight(name, "!+"), typ: typ, required: strings.HasSuffix(name, "!")}
			s.types[current] = append(s.types[current], r)
		}
	}
	for name, rules := range s.types {
		for _, r := range rules {
			if typ := strings.TrimPrefix(r.typ, "list of "); typ != "" && typ[0] >= 'A' && typ[0] <= 'Z' && s.types[typ] == nil {
				t.Fatalf("schema.txt: %s.%s has the unknown type %s", name, r.name, typ)
			}
		}
	}
	return s
}

// envelope is what every answer has, and the element of the endpoint or of an error.
func (s *schema) envelope(endpoint string, failed bool) []rule {
	rules := []rule{
		{"status", "one of ok|failed", true},
		{"version", "string", true},
		{"type", "string", true},
		{"serverVersion", "string", true},
		{"openSubsonic", "boolean", true},
	}
	if failed {
		return append(rules, rule{"error", "Error", true})
	}
	answers := slices.Clone(s.endpoints[endpoint])
	if len(answers) == 1 { // else which one it is depends on what is asked for
		answers[0].required = true
	}
	return append(rules, answers...)
}

func (s *schema) checkJSON(t testing.TB, endpoint string, body []byte) {
	t.Helper()
	for _, p := range s.problemsJSON(endpoint, body) {
		t.Errorf("%s, JSON: %s", endpoint, p)
	}
}

func (s *schema) problemsJSON(endpoint string, body []byte) (problems []string) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		return []string{fmt.Sprintf("%v in %s", err, body)}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return []string{"something follows the document"}
	}
	root, ok := doc["subsonic-response"].(map[string]any)
	if !ok || len(doc) != 1 {
		return []string{"there must be one member, subsonic-response"}
	}
	s.object(&problems, "subsonic-response", s.envelope(endpoint, root["status"] == "failed"), root)
	return problems
}

func (s *schema) object(problems *[]string, path string, rules []rule, v map[string]any) {
	for _, r := range rules {
		member, there := v[r.name]
		if !there {
			if r.required {
				*problems = append(*problems, path+": "+r.name+" is missing")
			}
			continue
		}
		s.value(problems, path+"."+r.name, r.typ, member)
	}
	for name := range v {
		if !slices.ContainsFunc(rules, func(r rule) bool { return r.name == name }) {
			*problems = append(*problems, path+": "+name+" is not in the specification")
		}
	}
}

func (s *schema) value(problems *[]string, path, typ string, v any) {
	bad := func() { *problems = append(*problems, fmt.Sprintf("%s: %v is no %s", path, v, typ)) }
	if item, isList := strings.CutPrefix(typ, "list of "); isList {
		list, ok := v.([]any)
		if !ok {
			bad()
			return
		}
		for i, e := range list {
			s.value(problems, fmt.Sprintf("%s[%d]", path, i), item, e)
		}
		return
	}
	if rules, isType := s.types[typ]; isType {
		o, ok := v.(map[string]any)
		if !ok {
			bad()
			return
		}
		s.object(problems, path, rules, o)
		return
	}
	var text string
	switch v := v.(type) {
	case string:
		if typ == "integer" || typ == "number" || typ == "boolean" || strings.HasPrefix(typ, "integer ") {
			bad()
			return
		}
		text = v
	case json.Number:
		if typ != "number" && !strings.HasPrefix(typ, "integer") {
			bad()
			return
		}
		text = v.String()
	case bool:
		if typ != "boolean" {
			bad()
			return
		}
		text = strconv.FormatBool(v)
	default:
		bad()
		return
	}
	if !scalar(typ, text) {
		bad()
	}
}

// scalar reports whether the text is a value of a type that is not an element.
func scalar(typ, text string) bool {
	if values, ok := strings.CutPrefix(typ, "one of "); ok {
		return slices.Contains(strings.Split(values, "|"), text)
	}
	switch typ {
	case "string":
		return true
	case "time":
		_, err := time.Parse(time.RFC3339, text)
		return err == nil
	case "boolean":
		return text == "true" || text == "false"
	case "number":
		_, err := strconv.ParseFloat(text, 64)
		return err == nil
	case "integer":
		_, err := strconv.ParseInt(text, 10, 64)
		return err == nil
	}
	var least, most int64
	if _, err := fmt.Sscanf(typ, "integer %d to %d", &least, &most); err != nil {
		panic("schema.txt: unknown type " + typ)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return err == nil && n >= least && n <= most
}

// node is a parsed XML element.
type node struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []node     `xml:",any"`
	Text     string     `xml:",chardata"`
}

const namespace = "http://subsonic.org/restapi"

func (s *schema) checkXML(t testing.TB, endpoint string, body []byte) {
	t.Helper()
	for _, p := range s.problemsXML(endpoint, body) {
		t.Errorf("%s, XML: %s", endpoint, p)
	}
}

func (s *schema) problemsXML(endpoint string, body []byte) (problems []string) {
	var root node
	d := xml.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&root); err != nil {
		return []string{fmt.Sprintf("%v in %s", err, body)}
	}
	if root.XMLName.Local != "subsonic-response" || root.XMLName.Space != namespace {
		return []string{"the root must be subsonic-response"}
	}
	root.Attrs = slices.DeleteFunc(root.Attrs, func(a xml.Attr) bool { return a.Name.Local == "xmlns" })
	failed := slices.ContainsFunc(root.Attrs, func(a xml.Attr) bool { return a.Name.Local == "status" && a.Value == "failed" })
	s.element(&problems, "subsonic-response", s.envelope(endpoint, failed), &root)
	return problems
}

func (s *schema) element(problems *[]string, path string, rules []rule, n *node) {
	find := func(name string) *rule {
		if i := slices.IndexFunc(rules, func(r rule) bool { return r.name == name }); i >= 0 {
			return &rules[i]
		}
		return nil
	}
	seen := map[string]int{}
	for _, a := range n.Attrs {
		name := a.Name.Local
		seen[name]++
		r := find(name)
		switch {
		case r == nil:
			*problems = append(*problems, path+": the attribute "+name+" is not in the specification")
		case s.types[r.typ] != nil || strings.HasPrefix(r.typ, "list of "):
			*problems = append(*problems, path+": "+name+" must be an element")
		case !scalar(r.typ, a.Value):
			*problems = append(*problems, fmt.Sprintf("%s.%s: %q is no %s", path, name, a.Value, r.typ))
		}
	}
	for i := range n.Children {
		c := &n.Children[i]
		name := c.XMLName.Local
		seen[name]++
		r := find(name)
		if r == nil {
			*problems = append(*problems, path+": the element "+name+" is not in the specification")
			continue
		}
		item, isList := strings.CutPrefix(r.typ, "list of ")
		if !isList && seen[name] > 1 {
			*problems = append(*problems, path+": "+name+" is there twice")
		}
		if rules, isType := s.types[item]; isType {
			s.element(problems, path+"."+name, rules, c)
		} else if !isList || !scalar(item, c.Text) {
			*problems = append(*problems, path+": "+name+" must be an attribute")
		}
	}
	for _, r := range rules {
		isText := r.name == "value" && seen["value"] == 0 // an element's text; see encoder.text
		if r.required && seen[r.name] == 0 && !isText && !strings.HasPrefix(r.typ, "list of ") {
			*problems = append(*problems, path+": "+r.name+" is missing")
		}
	}
	for i := 1; i < len(n.Attrs); i++ {
		if slices.ContainsFunc(n.Attrs[:i], func(a xml.Attr) bool { return a.Name == n.Attrs[i].Name }) {
			*problems = append(*problems, path+": "+n.Attrs[i].Name.Local+" is there twice")
		}
	}
}
