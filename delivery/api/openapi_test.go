package api

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// update writes openapi.json, the page's types and the golden answers anew: go test ./delivery/api -update. Read the
// difference before committing it.
var update = flag.Bool("update", false, "write the golden files")

// pageTypes is where the page keeps the types of the wire.
const pageTypes = "../../web/src/api/wire.ts"

type object = map[string]any

// schemas collects the named types that a description mentions.
type schemas map[string]reflect.Type

var generic = regexp.MustCompile(`^(items|window)\[.*/api\.(\w+)\]$`)

// schemaName is a type's name in the description: items[…/api.album] is albumItems.
func schemaName(t reflect.Type) string {
	if m := generic.FindStringSubmatch(t.Name()); m != nil {
		return m[2] + strings.ToUpper(m[1][:1]) + m[1][1:]
	}
	return t.Name()
}

var timeType = reflect.TypeFor[time.Time]()

// schema describes a type as JSON Schema 2020-12, which OpenAPI 3.1 uses as it is.
func (s schemas) schema(t reflect.Type) object {
	switch {
	case t == timeType:
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return s.schema(t.Elem())
	}
	switch t.Kind() {
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": s.schema(t.Elem())}
	case reflect.Struct:
		s[schemaName(t)] = t
		return object{"$ref": "#/components/schemas/" + schemaName(t)}
	}
	panic("the wire has no form for " + t.String())
}

// member is one member of a JSON object.
type field struct {
	name, doc        string
	optional         bool
	enum             []string
	minimum, maximum string
	typ              reflect.Type
}

func members(t reflect.Type) []field {
	var out []field
	for f := range t.Fields() {
		if f.Anonymous {
			out = append(out, members(f.Type)...)
			continue
		}
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		m := field{name: name, doc: f.Tag.Get("doc"), optional: opts != "", typ: f.Type, minimum: f.Tag.Get("min"), maximum: f.Tag.Get("max")}
		if e := f.Tag.Get("enum"); e != "" {
			m.enum = strings.Split(e, ",")
		}
		out = append(out, m)
	}
	return out
}

func (s schemas) define(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, m := range members(t) {
		p := s.schema(m.typ)
		into := p
		if items, ok := p["items"].(object); ok {
			into = items
		}
		if m.enum != nil {
			into["enum"] = m.enum
		}
		for key, text := range map[string]string{"minimum": m.minimum, "maximum": m.maximum} {
			if text != "" {
				n, err := strconv.Atoi(text)
				if err != nil {
					panic(err)
				}
				p[key] = n
			}
		}
		if m.doc != "" {
			p["description"] = m.doc
		}
		properties[m.name] = p
		if !m.optional {
			required = append(required, m.name)
		}
	}
	out := object{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

var pathParam = regexp.MustCompile(`\{(\w+)\}`)

// describe makes the OpenAPI document of routes.
func describe(routes []route) object {
	all := schemas{}
	problemRef := all.schema(reflect.TypeFor[problem]())
	paths := object{}
	for _, rt := range routes {
		op := object{"operationId": rt.id, "tags": []string{rt.tag}, "summary": rt.summary}
		if rt.about != "" {
			op["description"] = rt.about
		}
		if rt.access.open {
			op["security"] = []any{}
		}
		if rt.access.role != "" {
			op["x-tutti-role"] = string(rt.access.role)
		}
		var parameters []object
		for _, m := range pathParam.FindAllStringSubmatch(rt.path, -1) {
			parameters = append(parameters, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
		}
		for _, q := range rt.query {
			parameters = append(parameters, object{"name": q.name, "in": "query", "description": q.doc, "schema": querySchema(q)})
		}
		if parameters != nil {
			op["parameters"] = parameters
		}
		if rt.body != nil {
			op["requestBody"] = object{
				"required": true,
				"content":  object{"application/json": object{"schema": all.schema(reflect.TypeOf(rt.body))}},
			}
		}
		success := object{"description": http.StatusText(rt.status)}
		switch {
		case rt.media != "":
			success["content"] = object{rt.media: object{}}
		case rt.reply != nil:
			content := object{"application/json": object{"schema": all.schema(reflect.TypeOf(rt.reply))}}
			if rt.frame {
				content[frameType] = object{}
			}
			success["content"] = content
		}
		op["responses"] = object{
			strconv.Itoa(rt.status): success,
			"default": object{
				"description": "An error, as RFC 9457 problem details.",
				"content":     object{"application/problem+json": object{"schema": problemRef}},
			},
		}
		if rt.id == "watch" {
			all.schema(reflect.TypeFor[scanStatus]())
			all.schema(reflect.TypeFor[queueEvent]())
			all.schema(reflect.TypeFor[roomsEvent]())
			all.schema(reflect.TypeFor[stepsEvent]())
			all.schema(reflect.TypeFor[stationTitle]())
		}
		item, _ := paths["/"+rt.path].(object)
		if item == nil {
			item = object{}
			paths["/"+rt.path] = item
		}
		item[strings.ToLower(rt.method)] = op
	}
	defined := object{}
	for len(defined) < len(all) { // defining one may mention more
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if defined[name] == nil {
				defined[name] = all.define(all[name])
			}
		}
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title":   "tutti",
			"version": "1",
			"description": "The native API of the tutti music server. Durations and positions are whole milliseconds, times RFC 3339 in UTC; " +
				"unknown values are left out and lists are never null. Unknown members and query parameters are errors. " +
				"What is there as " + frameType + " is the same JSON in about a tenth of the bytes; the parameter model of that type in Accept " +
				"names a model that the client has (listModels), and in Content-Type the one that was needed.",
			"license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers":  []object{{"url": strings.TrimSuffix(Prefix, "/")}},
		"security": []object{{"session": []any{}}, {"key": []any{}}},
		"paths":    paths,
		"components": object{
			"schemas": defined,
			"securitySchemes": object{
				"session": object{"type": "apiKey", "in": "cookie", "name": cookieName, "description": "Set by signIn."},
				"key":     object{"type": "http", "scheme": "bearer", "description": "An app key, made by createKey."},
			},
		},
	}
}

func querySchema(q param) object {
	switch q.kind {
	case integer:
		return object{"type": "integer", "minimum": q.min, "maximum": q.max, "default": q.def}
	case boolean:
		return object{"type": "boolean", "default": false}
	}
	out := object{"type": "string", "maxLength": maxText}
	if q.enum != nil {
		out["enum"], out["default"] = q.enum, q.enum[0]
	}
	if q.many {
		return object{"type": "array", "items": out, "maxItems": maxMany}
	}
	return out
}

// typescript writes the JSON types for the page.
func typescript(routes []route) string {
	all := schemas{}
	all.schema(reflect.TypeFor[problem]())
	all.schema(reflect.TypeFor[scanStatus]())
	all.schema(reflect.TypeFor[queueEvent]())
	all.schema(reflect.TypeFor[roomsEvent]())
	all.schema(reflect.TypeFor[stepsEvent]())
	all.schema(reflect.TypeFor[stationTitle]())
	for _, rt := range routes {
		for _, v := range []any{rt.body, rt.reply} {
			if v != nil {
				all.schema(reflect.TypeOf(v))
			}
		}
	}
	written := map[string]string{}
	for len(written) < len(all) {
		for _, name := range slices.Sorted(maps.Keys(all)) {
			if _, ok := written[name]; ok {
				continue
			}
			var b strings.Builder
			fmt.Fprintf(&b, "export interface %s {\n", upperFirst(name))
			for _, m := range members(all[name]) {
				if m.doc != "" {
					fmt.Fprintf(&b, "  /** %s */\n", m.doc)
				}
				mark := ""
				if m.optional {
					mark = "?"
				}
				fmt.Fprintf(&b, "  %s%s: %s;\n", m.name, mark, all.typescriptType(m.typ, m.enum))
			}
			b.WriteString("}\n")
			written[name] = b.String()
		}
	}
	var b strings.Builder
	b.WriteString("// The JSON types of /api/v1, written by delivery/api's tests from the server's own types. Do not edit.\n")
	for _, name := range slices.Sorted(maps.Keys(written)) {
		b.WriteString("\n" + written[name])
	}
	return b.String()
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func (s schemas) typescriptType(t reflect.Type, enum []string) string {
	switch t.Kind() {
	case reflect.Pointer:
		return s.typescriptType(t.Elem(), enum)
	case reflect.Slice:
		inner := s.typescriptType(t.Elem(), enum)
		if strings.Contains(inner, "|") {
			inner = "(" + inner + ")"
		}
		return inner + "[]"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Float64:
		return "number"
	case reflect.Struct:
		if t != timeType {
			s.schema(t)
			return upperFirst(schemaName(t))
		}
	}
	if enum != nil {
		return `"` + strings.Join(enum, `" | "`) + `"`
	}
	return "string"
}

// TestDescription keeps openapi.json equal to the routes, and with it every path, parameter, body and answer.
func TestDescription(t *testing.T) {
	s := &server{}
	doc, err := json.MarshalIndent(describe(s.routes()), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "openapi.json", append(doc, '\n'))
	golden(t, pageTypes, []byte(typescript(s.routes())))
}

// TestRoutesAreSound catches what a description would only repeat.
func TestRoutesAreSound(t *testing.T) {
	ids := map[string]bool{}
	for _, rt := range (&server{}).routes() {
		if ids[rt.id] {
			t.Errorf("two routes are called %q", rt.id)
		}
		ids[rt.id] = true
		if rt.tag == "" || rt.summary == "" {
			t.Errorf("%s: what is it for?", rt.id)
		}
		if rt.access.open && !slices.Contains([]string{"getDescription", "signIn", "signOut"}, rt.id) {
			t.Errorf("%s is open to everybody", rt.id)
		}
		for _, q := range rt.query {
			if q.doc == "" {
				t.Errorf("%s: parameter %q is not explained", rt.id, q.name)
			}
		}
	}
}

// golden compares got with a file that a person reviewed.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is out of date (-file +now); if that is meant, go test ./delivery/api -update\n%s", file, diff)
	}
}
