package api

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"tutti"
	"tutti/carbon"
)

// Grid tells what the electricity of this place emits; a carbon.Cached does.
type Grid interface {
	carbon.Grid
	carbon.Outlook
	Source() carbon.Source
}

type job struct {
	Name       string         `json:"name"`
	Kind       tutti.JobKind  `json:"kind" enum:"analyse,outline,verify,transcode,enrich,train,backup"`
	State      tutti.JobState `json:"state" enum:"waiting,running,done,failed,cancelled,interrupted"`
	Node       string         `json:"node,omitempty" doc:"The process that has it, in a fleet."`
	Joules     float64        `json:"joules,omitempty" doc:"What it is estimated to take."`
	DurationMs int64          `json:"durationMs" doc:"How long it is estimated to run."`
	Given      time.Time      `json:"given" doc:"When it was handed over."`
	Deadline   time.Time      `json:"deadline"`
	Start      time.Time      `json:"start" doc:"When it is to begin, as planned now, or began."`
	Ended      time.Time      `json:"ended,omitzero"`
	AtOnce     float64        `json:"atOnce,omitempty" doc:"g/kWh while it had run at once, as predicted."`
	Chosen     float64        `json:"chosen,omitempty" doc:"g/kWh while it runs as planned, as predicted."`
	SavedGrams float64        `json:"savedGrams,omitempty" doc:"Of CO2 equivalents: an estimate by a prediction; less than 0 where more."`
	Source     string         `json:"source,omitempty" doc:"Whose prediction."`
	Why        string         `json:"why,omitempty" doc:"In a sentence, why it waits, or ran when it did."`
	Problem    string         `json:"problem,omitempty" doc:"What went wrong, for a person."`
}

type jobsReply struct {
	Jobs    []job `json:"jobs" doc:"What runs, and then what waits, by when it is to begin."`
	History []job `json:"history" doc:"What has ended, the latest first."`
}

func wireJob(st tutti.JobStatus) job {
	return job{
		Name: st.Name, Kind: st.Kind, State: st.State, Node: st.Node, Joules: st.Energy, DurationMs: st.Duration.Milliseconds(),
		Given: st.Given, Deadline: st.Deadline, Start: st.Start, Ended: st.Ended, AtOnce: st.AtOnce, Chosen: st.Chosen,
		SavedGrams: st.Saved, Source: st.Source, Why: st.Why, Problem: st.Problem,
	}
}

func wireJobs(list []tutti.JobStatus) []job {
	out := make([]job, 0, len(list))
	for _, st := range list {
		out = append(out, wireJob(st))
	}
	return out
}

type gridPoint struct {
	From     time.Time `json:"from"`
	To       time.Time `json:"to"`
	Grams    float64   `json:"gramsPerKwh"`
	Forecast bool      `json:"forecast,omitempty" doc:"Predicted, not what was."`
}

type gridReply struct {
	Source   string      `json:"source" doc:"Whose figures these are."`
	Marginal bool        `json:"marginal,omitempty" doc:"What one kWh more would emit, where others tell the mean of all."`
	Grams    float64     `json:"gramsPerKwh" doc:"Now."`
	Label    string      `json:"label" enum:"measured,modelled,assumed"`
	Method   string      `json:"method" doc:"How the figure was found."`
	Time     time.Time   `json:"time,omitzero" doc:"To which it belongs."`
	Stale    bool        `json:"stale,omitempty" doc:"It is older than two hours: the feed does not answer."`
	Outlook  []gridPoint `json:"outlook" doc:"What is known and predicted, in order; empty where nothing is."`
	Problem  string      `json:"problem,omitempty" doc:"Why there is no outlook, for a person."`
}

// The next types are those of the Carbon Aware SDK's Web API, under its own names.

type emissions struct {
	Location string    `json:"location"`
	Time     time.Time `json:"time"`
	Rating   float64   `json:"rating" doc:"g/kWh."`
	Duration string    `json:"duration" doc:"hh:mm:ss."`
}

type emissionsForecastPoint struct {
	Location string    `json:"location"`
	Time     time.Time `json:"timestamp"`
	Minutes  int64     `json:"duration" doc:"Minutes."`
	Value    float64   `json:"value" doc:"g/kWh."`
}

type emissionsForecast struct {
	GeneratedAt time.Time                `json:"generatedAt"`
	RequestedAt time.Time                `json:"requestedAt"`
	Location    string                   `json:"location"`
	DataStartAt time.Time                `json:"dataStartAt"`
	DataEndAt   time.Time                `json:"dataEndAt"`
	WindowSize  int64                    `json:"windowSize" doc:"Minutes."`
	Optimal     []emissionsForecastPoint `json:"optimalDataPoints"`
	Data        []emissionsForecastPoint `json:"forecastData"`
}

type averageIntensity struct {
	Location  string    `json:"location"`
	StartTime time.Time `json:"startTime"`
	EndTime   time.Time `json:"endTime"`
	Intensity float64   `json:"carbonIntensity" doc:"g/kWh."`
}

func (s *server) gridRoutes() []route {
	const sdk = "In the form of the Green Software Foundation's Carbon Aware SDK Web API, for other programs of the house: give them " + Prefix +
		"carbon-aware as its address and an app key as bearer token. There is one location, this one; what it is called makes no difference."
	location := param{name: "location", doc: "Any; there is but one."}
	locations := location
	locations.many = true
	from := param{name: "time", doc: "From when on, as RFC 3339; by default all that is known."}
	to := param{name: "toTime", doc: "Until when; by default now."}
	list := locations
	list.name = "locations"
	return []route{
		get("jobs", "getJobs", "jobs", "Work that waits for a clean hour, runs, and has ended", holder(tutti.RoleAdmin), (*call).jobs,
			param{name: "history", kind: integer, max: 400, def: 50, doc: "How many that have ended."}),
		act(http.MethodDelete, "jobs/{name}", "cancelJob", "jobs", "Drop a job that waits, or end one that runs", holder(tutti.RoleAdmin), (*call).cancelJob),
		get("grid", "getGrid", "grid", "What the electricity here emits, and what is predicted", member, (*call).grid),
		get("carbon-aware/emissions/bylocation", "getEmissions", "grid", "What the electricity here emitted", member, (*call).emissions, location, from, to).saying(sdk),
		get("carbon-aware/emissions/bylocations", "getEmissionsOfLocations", "grid", "What the electricity here emitted", member, (*call).emissions, list, from, to).saying(sdk),
		get("carbon-aware/emissions/bylocations/best", "getBestEmissions", "grid", "When the electricity here emitted least", member, (*call).bestEmissions, list, from, to).saying(sdk),
		get("carbon-aware/emissions/forecasts/current", "getEmissionsForecast", "grid", "What the electricity here is predicted to emit, and the cleanest window", member, (*call).emissionsForecast,
			locations, param{name: "dataStartAt", doc: "From when on, as RFC 3339; by default now."}, param{name: "dataEndAt", doc: "Until when; by default all that is predicted."},
			param{name: "windowSize", kind: integer, max: 7 * 24 * 60, doc: "How long something would run, in minutes; 0 is one point of the forecast."}).saying(sdk),
		get("carbon-aware/emissions/average-carbon-intensity", "getAverageIntensity", "grid", "What the electricity here emitted on average", member, (*call).averageIntensity, location,
			param{name: "startTime", doc: "As RFC 3339."}, param{name: "endTime", doc: "As RFC 3339."}).saying(sdk),
	}
}

func (c *call) jobs() (out jobsReply, err error) {
	jobs, err := c.Jobs.Jobs(c.r.Context())
	if err != nil {
		return out, err
	}
	history := []tutti.JobStatus{}
	if n := c.params.int("history"); n > 0 {
		if history, err = c.Jobs.JobHistory(c.r.Context(), n); err != nil {
			return out, err
		}
	}
	return jobsReply{wireJobs(jobs), wireJobs(history)}, nil
}

func (c *call) cancelJob() error { return c.Jobs.Cancel(c.r.Context(), c.r.PathValue("name")) }

func (c *call) grid() (gridReply, error) {
	now := c.Grid.Now(c.r.Context())
	out := gridReply{
		Grams: float64(now.Value), Label: string(now.Basis.Label), Method: now.Basis.Method, Time: now.Time, Stale: now.Stale, Outlook: []gridPoint{},
	}
	series, source, err := c.Grid.Outlook(c.r.Context())
	out.Source, out.Marginal = source.String(), source.Marginal
	if err != nil {
		out.Problem = tutti.Message(err)
		return out, nil
	}
	for _, p := range series {
		out.Outlook = append(out.Outlook, gridPoint{p.From, p.To, p.Grams, p.Forecast})
	}
	return out, nil
}

// timeParam reads a query parameter that is a time.
func (c *call) timeParam(name string, otherwise time.Time) (time.Time, error) {
	text := c.params.text(name)
	if text == "" {
		return otherwise, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, tutti.Errorf(tutti.KindInvalid, "api.timeParam", "%q must be a time as RFC 3339 writes it, such as 2026-03-01T12:00:00Z", name)
	}
	return t.UTC(), nil
}

// place is what the asker calls the location; else what the feed does.
func (c *call) place(source carbon.Source) string {
	for _, name := range []string{"location", "locations"} {
		if given := c.params.text(name); given != "" {
			return given
		}
	}
	if source.Region != "" {
		return source.Region
	}
	return source.Short
}

// observed returns what is known of the time that the query names, until now.
func (c *call) observed(fromName, toName string) (_ carbon.Series, place string, from, to time.Time, err error) {
	series, source, err := c.Grid.Outlook(c.r.Context())
	if err != nil {
		return nil, "", from, to, err
	}
	now := c.Clock.Now().UTC()
	if from, err = c.timeParam(fromName, now.Add(-24*time.Hour)); err != nil {
		return nil, "", from, to, err
	}
	if to, err = c.timeParam(toName, now); err != nil {
		return nil, "", from, to, err
	}
	known := slices.DeleteFunc(slices.Clone(series), func(p carbon.Point) bool {
		return !p.To.After(from) || !p.From.Before(to) || p.From.After(now)
	})
	return known, c.place(source), from, to, nil
}

func (c *call) emissions() ([]emissions, error) {
	series, place, _, _, err := c.observed("time", "toTime")
	out := make([]emissions, 0, len(series))
	for _, p := range series {
		out = append(out, wireEmissions(place, p))
	}
	return out, err
}

func wireEmissions(place string, p carbon.Point) emissions {
	d := p.To.Sub(p.From)
	return emissions{place, p.From, p.Grams, fmt.Sprintf("%02d:%02d:%02d", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)}
}

func (c *call) bestEmissions() ([]emissions, error) {
	series, place, _, _, err := c.observed("time", "toTime")
	if err != nil || len(series) == 0 {
		return []emissions{}, err
	}
	best := slices.MinFunc(series, func(a, b carbon.Point) int {
		if a.Grams < b.Grams {
			return -1
		}
		return 1
	})
	return []emissions{wireEmissions(place, best)}, nil
}

func (c *call) emissionsForecast() ([]emissionsForecast, error) {
	const op = "api.emissionsForecast"
	series, source, err := c.Grid.Outlook(c.r.Context())
	if err != nil {
		return nil, err
	}
	now := c.Clock.Now().UTC()
	if len(series) == 0 || !series[len(series)-1].To.After(now) {
		return nil, tutti.Errorf(tutti.KindUnavailable, op, "%s predicts nothing", source)
	}
	from, err := c.timeParam("dataStartAt", now)
	if err != nil {
		return nil, err
	}
	to, err := c.timeParam("dataEndAt", series[len(series)-1].To)
	if err != nil {
		return nil, err
	}
	if !to.After(from) {
		return nil, tutti.Errorf(tutti.KindInvalid, op, `"dataEndAt" must be after "dataStartAt"`)
	}
	place := c.place(source)
	out := emissionsForecast{
		GeneratedAt: now, RequestedAt: now, Location: place, DataStartAt: from, DataEndAt: to,
		Optimal: []emissionsForecastPoint{}, Data: []emissionsForecastPoint{},
	}
	var within carbon.Series
	for _, p := range series {
		if p.To.After(from) && p.From.Before(to) {
			within = append(within, p)
			out.Data = append(out.Data, emissionsForecastPoint{place, p.From, int64(p.To.Sub(p.From).Minutes()), p.Grams})
		}
	}
	size := time.Duration(c.params.int("windowSize")) * time.Minute
	if size == 0 && len(within) > 0 {
		size = within[0].To.Sub(within[0].From)
	}
	out.WindowSize = int64(size.Minutes())
	if start, mean, ok := within.Cleanest(size, from, to.Add(-size)); ok {
		out.Optimal = append(out.Optimal, emissionsForecastPoint{place, start, out.WindowSize, mean})
	}
	return []emissionsForecast{out}, nil
}

func (c *call) averageIntensity() (averageIntensity, error) {
	_, place, from, to, err := c.observed("startTime", "endTime")
	if err != nil {
		return averageIntensity{}, err
	}
	if !to.After(from) {
		return averageIntensity{}, tutti.Errorf(tutti.KindInvalid, "api.averageIntensity", `"endTime" must be after "startTime"`)
	}
	return averageIntensity{place, from, to, float64(c.Grid.Mean(c.r.Context(), from, to).Value)}, nil
}
