package capacity

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"tutti"
)

// Answer makes a plan from the figures that this program was built with and writes it, as text or as JSON.
func Answer(w io.Writer, q Question, asJSON bool) error {
	m, err := Measured()
	if err != nil {
		return err
	}
	a, err := Assumed()
	if err != nil {
		return err
	}
	p, err := Make(q, m, a)
	if err != nil {
		return err
	}
	if !asJSON {
		return p.WriteText(w)
	}
	return p.WriteJSON(w)
}

// WriteJSON writes the plan with every figure that it was made from.
func (p Plan) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	err := e.Encode(struct {
		Plan
		Measured Figures `json:"measured"`
		Assumed  Figures `json:"assumed"`
	}{p, p.measured, p.assumed})
	return tutti.Wrap(tutti.KindUnavailable, "capacity: write", err)
}

// WriteText writes the plan for people.
func (p Plan) WriteText(w io.Writer) error {
	var b strings.Builder
	q := p.Question
	fmt.Fprintf(&b, "%s listeners at %d kbit/s, %s tracks of %s s: %s starts/s and %s GB/s at the peak\n",
		number(float64(q.Listeners)), q.Bitrate, number(float64(q.Tracks)), number(q.TrackSeconds), number(p.StartsPerSecond), number(p.GBPerSecond))
	fmt.Fprintf(&b, "nginx and the track caches answer %s of the requests for chunks, the object store the rest; the track caches %s of what reaches them\n\n",
		percent(p.HitRatio), percent(p.CacheHitRatio))

	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ROLE\tMACHINES\tOF\tBOUND BY\tUSED\tA ZONE LOST\tCORES BUSY\tGBIT/S OUT\tMEMORY GIB\tDISK GB\t$ A MONTH")
	for _, r := range p.Roles {
		machines := fmt.Sprint(r.Instances)
		if q.Zones > 1 {
			machines = fmt.Sprintf("%d (%d and a zone's loss)", r.Instances, r.Needed)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, machines, machineName(r.Machine), r.Binds, percent(r.Used), percent(r.UsedLess),
			number(r.CPU), number(r.Gbit), number(r.MemoryGiB), number(r.DiskGB), number(float64(r.Instances)*r.PriceHour*monthHours))
	}
	_ = t.Flush() // a Builder takes everything

	n, s, o, m := p.Network, p.Store, p.Objects, p.Money
	fmt.Fprintf(&b, "\nNETWORK   %s Gbit/s to listeners, %s from track caches to nginx, %s from the object store; TLS takes %s cores and %s handshakes/s\n",
		number(n.ToListenersGbit), number(n.CacheToEdgeGbit), number(n.OriginGbit), number(n.TLSCores), number(n.HandshakesSecond))
	fmt.Fprintf(&b, "DYNAMODB  %s read and %s write units/s at the peak, %s and %s of them also when nobody listens; %s and %s million a month; %s GB\n",
		number(s.ReadUnits), number(s.WriteUnits), number(s.RestingReads), number(s.RestingWrites), number(s.ReadMillions), number(s.WriteMillions), number(s.GB))
	if !q.NoHeads {
		fmt.Fprintf(&b, "  heads   %s reads/s, %s writes/s, %s GB; writing all of them into a new table takes %s h; a million starts from heads cost $%s\n",
			number(s.HeadReads), number(s.HeadWrites), number(s.HeadGB), number(s.HeadFillHours), number(m.HeadsPerStarts))
	}
	fmt.Fprintf(&b, "S3        %s GET/s, %s million a month, %s GB\n", number(o.GetsPerSecond), number(o.GetsMillions), number(o.GB))
	fmt.Fprintf(&b, "MONEY     $%s a month: machines %s, egress %s, between zones %s, DynamoDB %s, S3 %s; $%s a stream-hour, $%s without egress\n\n",
		number(m.Month), number(m.Machines), number(m.Egress), number(m.Zones), number(m.Store), number(m.Objects), number(m.StreamHour), number(m.WithoutEgress))

	fmt.Fprintln(t, "LIMIT\tLOAD\tCEILING\tUSED\tBINDS AT\tTHEN")
	for _, l := range p.Limits {
		at := "never below 1,000,000,000"
		if l.Binds > 0 {
			at = number(float64(l.Binds)) + " listeners"
		}
		fmt.Fprintf(t, "%s\t%s\t%s %s\t%s\t%s\t%s\n", l.Name, number(l.Load), number(l.Ceiling), l.Unit, percent(l.Share), at, l.Remedy)
	}
	_ = t.Flush()

	for _, set := range []struct {
		title string
		f     Figures
	}{{"MEASURED", p.measured}, {"ASSUMED", p.assumed}} {
		fmt.Fprintf(&b, "\n%s %s, %s\n", set.title, set.f.Made, set.f.Where)
		names := make([]string, 0, len(set.f.Figures))
		for name := range set.f.Figures {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			v := set.f.Figures[name]
			fmt.Fprintf(t, "  %s\t%s %s\t%s\n", name, number(v.Value), v.Unit, v.Source)
		}
		if len(set.f.Hits) > 0 {
			var points []string
			for _, h := range set.f.Hits {
				points = append(points, fmt.Sprintf("%s: %s", percent(h.Share), percent(h.Ratio)))
			}
			fmt.Fprintf(t, "  hit ratio by share of the catalogue\t%s\t%s\n", strings.Join(points, ", "), set.f.HitsHow)
		}
		_ = t.Flush()
	}
	_, err := io.WriteString(w, b.String())
	return tutti.Wrap(tutti.KindUnavailable, "capacity: write", err)
}

// machineName is the part of a source that names the machine.
func machineName(source string) string {
	name, _, _ := strings.Cut(source, ";")
	return name
}

func percent(share float64) string { return number(share*100) + " %" }

// number formats with three significant digits, or all of a whole number, and commas between thousands.
func number(v float64) string {
	if v == 0 {
		return "0"
	}
	if math.Abs(v) < 100 {
		digits := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
		s := fmt.Sprintf("%.*f", digits, v)
		if strings.Contains(s, ".") {
			s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
		}
		return s
	}
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
