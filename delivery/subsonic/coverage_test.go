package subsonic_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"tutti/delivery/subsonic"
)

var coverage = subsonic.Coverage()

// TestCoverageTable keeps docs/opensubsonic.md true. TUTTI_UPDATE_GOLDEN=1 writes it anew.
func TestCoverageTable(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# OpenSubsonic: what is served

tutti speaks [OpenSubsonic](https://opensubsonic.netlify.app/) 1.16.1 under ` + "`/rest/`" + `, in XML, JSON and JSONP, by GET and by POST
with a form, with or without ` + "`.view`" + ` behind an endpoint's name. This page is written from the table in
` + "`delivery/subsonic/endpoints.go`" + `; a test keeps it true.

An endpoint that is not supported answers error 0 with the reason, and HTTP 404 as well where it belongs to an extension
that is not offered. Any other name answers HTTP 404.

## Signing in

| way | parameters | wrong |
|---|---|---|
| token | ` + "`u`, `t` = md5(password + salt), `s` = salt" + ` | error 40 |
| password | ` + "`u`, `p`, plain or `enc:` and hexadecimal" + ` | error 40 |
| API key | ` + "`apiKey` alone" + ` | error 44 |

More than one of these is error 43; less than one, or a request without ` + "`v` or `c`" + `, is error 10.

## Extensions

| extension | versions |
|---|---|
`)
	for _, x := range subsonic.Extensions() {
		fmt.Fprintf(&b, "| %s | %s |\n", x.Name, strings.Trim(strings.ReplaceAll(fmt.Sprint(x.Versions), " ", ", "), "[]"))
	}
	b.WriteString(tuttiRooms)
	b.WriteString("\n## Endpoints\n")
	group := ""
	supported, all := 0, 0
	for _, row := range coverage {
		if row.Group != group {
			group = row.Group
			fmt.Fprintf(&b, "\n### %s\n\n| endpoint | supported | role | notes |\n|---|---|---|---|\n", group)
		}
		yes := "no"
		all++
		if row.Supported {
			yes = "yes"
			supported++
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", row.Name, yes, row.Role, row.Note)
	}
	fmt.Fprintf(&b, "\n%d of %d endpoints.\n", supported, all)
	compareGolden(t, "../../docs/opensubsonic.md", []byte(b.String()), os.Getenv("TUTTI_UPDATE_GOLDEN") == "1")
}

// tuttiRooms describes our own extension.
const tuttiRooms = `
### tuttiRooms, version 1

Ours, for playing in rooms in step ([guide](guide/rooms.md)); OpenSubsonic has nothing for it yet. Whoever may stream may use it. A
room is named by its id or its name, a player by its id. Gains are from 0 to 1; a player's own is a part of its room's.

| endpoint | parameters | answer |
|---|---|---|
| getRooms | | ` + "`rooms`" + ` with a ` + "`room`" + ` for each: ` + "`id`, `name`, `currentIndex`, `playing`, `gain`, `position` (seconds), `songCount`, `muted`, `repeat` (off, all or one), `problem`" + ` where it cannot play, and a ` + "`player`" + ` for each: ` + "`id`, `name`, `kind`, `connected`, `gain`, `muted`, `latency` (ms)" + ` |
| updateRoom | ` + "`room`; `name`, `gain`, `muted`, `repeat`" + ` where they change | ` + "`room`" + ` |
| updateRoomPlayer | ` + "`id`; `room`, `name`, `gain`, `muted`, `latency`" + ` where they change | |
| jukeboxControl | ` + "`room`" + ` besides the specification's | as specified |
`
