package subsonic

import "tutti"

// Row says how an endpoint of the specification is served.
type Row struct {
	Name, Group string
	Role        tutti.Role // needed; "" is anybody who is signed in
	Supported   bool
	Bytes       bool // answers with something else than the envelope
	Note        string
}

// Coverage lists every endpoint of the specification, for the table in the docs.
func Coverage() []Row {
	var rows []Row
	for i := range endpoints {
		e := &endpoints[i]
		if !e.ours {
			rows = append(rows, Row{Name: e.name, Group: e.group, Role: e.role, Supported: e.serve != nil, Bytes: e.bytes, Note: e.note})
		}
	}
	return rows
}

// Writes lists the endpoints that change something. Apps ask them by GET as well, so whoever stands in front must not
// repeat a request for one of them that may have been heard.
func Writes() []string {
	var names []string
	for i := range endpoints {
		if endpoints[i].writes {
			names = append(names, endpoints[i].name)
		}
	}
	return names
}

// Extension is one of the specification's extensions, with the versions of it that are served.
type Extension struct {
	Name     string
	Versions []int64
}

// Extensions lists what getOpenSubsonicExtensions does.
func Extensions() []Extension { return extensions }
