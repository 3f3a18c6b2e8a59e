package carbon

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
)

const (
	// feedTimeout is how long a feed may take for its whole answer.
	feedTimeout = 5 * time.Second
	// maxAnswer is more than any feed answers for a few days, in bytes: 5-minute points of three days are some 100 kB.
	maxAnswer = 4 << 20
	// gramsPerPound is exact (international avoirdupois pound).
	gramsPerPound = 453.59237
	// past is how much of what was is asked for: a day, so that it can stand for the next where nobody predicts that.
	past = 25 * time.Hour
)

// Client is what the feeds on the network share. The zero value of HTTP is one that follows no redirects: a secret is for
// the address that was configured.
type Client struct {
	HTTP  *http.Client // nil: one of its own
	Clock clock.Clock
	Agent string // "tutti/1.2"
}

var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// RetryError is a failure that knows when to ask again.
type RetryError struct {
	error
	After time.Duration
}

// RetryAfter returns for how long not to ask.
func (e RetryError) RetryAfter() time.Duration { return e.After }

// Unwrap returns the failure.
func (e RetryError) Unwrap() error { return e.error }

// get asks an address for JSON and decodes it. What the feed says in an error is not shown to anybody: it may repeat a secret.
func (c Client) get(ctx context.Context, name, address string, prepare func(*http.Request), into any) (err error) {
	const op = "carbon.Fetch"
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer c.Clock.AfterFunc(feedTimeout, stop).Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return tutti.Errorf(tutti.KindInvalid, op, "the address of %s cannot be asked", name)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.Agent)
	if prepare != nil {
		prepare(req)
	}
	client := c.HTTP
	if client == nil {
		client = noRedirects
	}
	resp, err := client.Do(req)
	if err != nil {
		return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Message: name + " does not answer", Err: withoutQuery(err)}
	}
	defer func() { _ = resp.Body.Close() }() // what came has been read, or is of no use
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return tutti.Errorf(tutti.KindUnauthorised, op, "%s refuses the secret that is configured, or it is not for this (%d)", name, code)
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		err := tutti.Errorf(tutti.KindExhausted, op, "%s wants to be asked later (%d)", name, code)
		return RetryError{err, retryAfter(resp.Header.Get("Retry-After"), c.Clock.Now())}
	case code != http.StatusOK:
		return tutti.Errorf(tutti.KindUnavailable, op, "%s answered with status %d", name, code)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Message: name + " broke off its answer", Err: err}
	}
	if len(body) > maxAnswer {
		return tutti.Errorf(tutti.KindUnavailable, op, "%s answered with more than %d bytes", name, maxAnswer)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Message: name + " answered with something that it is not known for", Err: err}
	}
	return nil
}

// withoutQuery takes the address out of an error: a query may hold a secret.
func withoutQuery(err error) error {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // http.Client.Do returns this type itself
		return u.Err
	}
	return err
}

// retryAfter reads Retry-After (RFC 9110 §10.2.3); 0 for what is none.
func retryAfter(text string, now time.Time) time.Duration {
	if s, err := strconv.Atoi(text); err == nil && s > 0 && s < 1<<20 {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(text); err == nil {
		return max(t.Sub(now), 0)
	}
	return 0
}

// feedTime is a time as feeds write it: RFC 3339, also without seconds as the GB feed does, or without a zone, which is UTC.
type feedTime struct{ time.Time }

var feedTimes = []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05.999999999", "2006-01-02T15:04", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02 15:04"}

func parseFeedTime(s string) (time.Time, error) {
	for _, layout := range feedTimes {
		if t, err := time.Parse(layout, s); err == nil {
			if y := t.UTC().Year(); y < 1990 || y > 2200 {
				break
			}
			return t.UTC(), nil
		}
	}
	return time.Time{}, tutti.Errorf(tutti.KindUnavailable, "carbon.parseFeedTime", "%.40q is no time", s)
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *feedTime) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	parsed, err := parseFeedTime(s)
	t.Time = parsed
	return err
}

// ---- Great Britain ----

// GB is the Carbon Intensity API of the National Energy System Operator of Great Britain, api.carbonintensity.org.uk: half
// hours, two days ahead, without a key. Its licence is CC BY 4.0; the name is shown wherever its figures are.
type GB struct {
	Client
	URL    string // "" for the service itself
	Region string // a region's number, 1 to 17, or the first half of a postcode, "RG10"; "" for the whole of Great Britain
}

// Source implements Feed.
func (f GB) Source() Source {
	return Source{Short: "gb", Name: "GB Carbon Intensity API", Region: f.Region}
}

type gbPoint struct {
	From      feedTime `json:"from"`
	To        feedTime `json:"to"`
	Intensity struct {
		Forecast *float64 `json:"forecast"`
		Actual   *float64 `json:"actual"`
	} `json:"intensity"`
}

// Fetch implements Feed.
func (f GB) Fetch(ctx context.Context, now time.Time) (Series, error) {
	base := cmpURL(f.URL, "https://api.carbonintensity.org.uk")
	from := now.UTC().Add(-time.Hour).Truncate(30 * time.Minute).Format("2006-01-02T15:04Z")
	if f.Region == "" {
		var answer struct {
			Data []gbPoint `json:"data"`
		}
		if err := f.get(ctx, f.Source().Name, base+"/intensity/"+from+"/fw48h", nil, &answer); err != nil {
			return nil, err
		}
		return gbSeries(answer.Data, now)
	}
	by := "/postcode/"
	if _, err := strconv.Atoi(f.Region); err == nil {
		by = "/regionid/"
	}
	var answer struct {
		Data struct {
			Data []gbPoint `json:"data"`
		} `json:"data"`
	}
	if err := f.get(ctx, f.Source().Name, base+"/regional/intensity/"+from+"/fw48h"+by+url.PathEscape(f.Region), nil, &answer); err != nil {
		return nil, err
	}
	return gbSeries(answer.Data.Data, now)
}

func gbSeries(list []gbPoint, now time.Time) (Series, error) {
	points := make([]Point, 0, len(list))
	for _, p := range list {
		// What was is told some minutes late, and of regions never.
		switch {
		case p.Intensity.Actual != nil && !p.From.After(now):
			points = append(points, Point{From: p.From.Time, To: p.To.Time, Grams: *p.Intensity.Actual})
		case p.Intensity.Forecast != nil:
			points = append(points, Point{From: p.From.Time, To: p.To.Time, Grams: *p.Intensity.Forecast, Forecast: true})
		}
	}
	return newSeries(points)
}

func cmpURL(configured, otherwise string) string {
	if configured != "" {
		return strings.TrimSuffix(configured, "/")
	}
	return otherwise
}

// ---- Electricity Maps ----

// ElectricityMaps is api.electricitymaps.com, version 3: life-cycle emissions of what is consumed in a zone, by the hour.
// Keys that may not see the forecast see the last day, and that is taken for the next.
type ElectricityMaps struct {
	Client
	URL  string // "" for the service itself
	Zone string // "DE", "US-CAL-CISO"
	Key  string
}

// Source implements Feed.
func (f ElectricityMaps) Source() Source {
	return Source{Short: "electricity-maps", Name: "Electricity Maps", Region: f.Zone}
}

type mapsPoint struct {
	Grams *float64 `json:"carbonIntensity"`
	At    feedTime `json:"datetime"`
}

// Fetch implements Feed.
func (f ElectricityMaps) Fetch(ctx context.Context, now time.Time) (Series, error) {
	var was struct {
		History []mapsPoint `json:"history"`
	}
	if err := f.ask(ctx, "history", &was); err != nil {
		return nil, err
	}
	var ahead struct {
		Forecast []mapsPoint `json:"forecast"`
	}
	if err := f.ask(ctx, "forecast", &ahead); err != nil && !tutti.IsKind(err, tutti.KindUnauthorised) {
		return nil, err
	}
	var points []Point
	for _, p := range ahead.Forecast {
		if p.Grams != nil {
			points = append(points, Point{From: p.At.Time, Grams: *p.Grams, Forecast: true})
		}
	}
	for _, p := range was.History { // after the forecast: what was takes the place of what was predicted
		if p.Grams != nil {
			points = append(points, Point{From: p.At.Time, Grams: *p.Grams})
		}
	}
	return newSeries(points)
}

func (f ElectricityMaps) ask(ctx context.Context, what string, into any) error {
	address := cmpURL(f.URL, "https://api.electricitymaps.com") + "/v3/carbon-intensity/" + what + "?zone=" + url.QueryEscape(f.Zone)
	return f.get(ctx, f.Source().Name, address, func(r *http.Request) { r.Header.Set("auth-token", f.Key) }, into)
}

// ---- WattTime ----

// WattTime is api.watttime.org, version 3: marginal emissions (co2_moer) in pounds per MWh, every five minutes. Its token
// lasts half an hour and is had for a name and a password.
type WattTime struct {
	Client
	url, region, user, password string

	mu    sync.Mutex
	token string
	until time.Time
}

// NewWattTime returns a feed for a region, such as CAISO_NORTH. address is "" for the service itself.
func NewWattTime(c Client, address, region, user, password string) *WattTime {
	return &WattTime{Client: c, url: cmpURL(address, "https://api.watttime.org"), region: region, user: user, password: password}
}

// tokenKept is shorter than the half hour for which a token is good.
const tokenKept = 25 * time.Minute

// Source implements Feed.
func (f *WattTime) Source() Source {
	return Source{Short: "watttime", Name: "WattTime", Region: f.region, Marginal: true}
}

// Fetch implements Feed.
func (f *WattTime) Fetch(ctx context.Context, now time.Time) (Series, error) {
	was, err := f.ask(ctx, "historical", url.Values{
		"start": {now.UTC().Add(-past).Format(time.RFC3339)}, "end": {now.UTC().Format(time.RFC3339)},
	})
	if err != nil && !tutti.IsKind(err, tutti.KindUnauthorised) {
		return nil, err
	}
	ahead, aheadErr := f.ask(ctx, "forecast", url.Values{"horizon_hours": {"48"}})
	if aheadErr != nil && (err != nil || !tutti.IsKind(aheadErr, tutti.KindUnauthorised)) {
		return nil, aheadErr
	}
	for i := range ahead {
		ahead[i].Forecast = true
	}
	return newSeries(append(ahead, was...)) // what was takes the place of what was predicted
}

func (f *WattTime) ask(ctx context.Context, what string, query url.Values) ([]Point, error) {
	token, err := f.login(ctx)
	if err != nil {
		return nil, err
	}
	query.Set("region", f.region)
	query.Set("signal_type", "co2_moer")
	var answer struct {
		Data []struct {
			At    feedTime `json:"point_time"`
			Value *float64 `json:"value"`
		} `json:"data"`
		Meta struct {
			Units  string `json:"units"`
			Period int    `json:"data_point_period_seconds"`
		} `json:"meta"`
	}
	err = f.get(ctx, f.Source().Name, f.url+"/v3/"+what+"?"+query.Encode(), func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, &answer)
	if tutti.IsKind(err, tutti.KindUnauthorised) {
		f.forget() // it may have ended early
	}
	if err != nil {
		return nil, err
	}
	if u := answer.Meta.Units; u != "" && u != "lbs_co2_per_mwh" {
		return nil, tutti.Errorf(tutti.KindUnavailable, "carbon.WattTime", "WattTime answered in %.40q, not in pounds per MWh", u)
	}
	period := time.Duration(min(max(answer.Meta.Period, 0), 3600)) * time.Second
	var points []Point
	for _, p := range answer.Data {
		if p.Value == nil {
			continue
		}
		point := Point{From: p.At.Time, Grams: *p.Value * gramsPerPound / 1000}
		if period > 0 {
			point.To = point.From.Add(period)
		}
		points = append(points, point)
	}
	return points, nil
}

// login returns a token that is good for some minutes more.
func (f *WattTime) login(ctx context.Context) (string, error) {
	f.mu.Lock()
	token, good := f.token, f.Clock.Now().Before(f.until)
	f.mu.Unlock()
	if good {
		return token, nil
	}
	var answer struct {
		Token string `json:"token"`
	}
	now := f.Clock.Now()
	if err := f.get(ctx, f.Source().Name, f.url+"/login", func(r *http.Request) { r.SetBasicAuth(f.user, f.password) }, &answer); err != nil {
		return "", err
	}
	if answer.Token == "" || strings.ContainsFunc(answer.Token, func(r rune) bool { return r < '!' || r > '~' }) {
		return "", tutti.Errorf(tutti.KindUnavailable, "carbon.WattTime", "WattTime let us in without a token")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.token, f.until = answer.Token, now.Add(tokenKept)
	return f.token, nil
}

func (f *WattTime) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.until = time.Time{}
}

// ---- Carbon Aware SDK ----

// CarbonAware is a Web API of the Green Software Foundation's Carbon Aware SDK, of which the operator runs one; another tutti
// will do.
type CarbonAware struct {
	Client
	URL      string
	Location string
	Key      string // sent as a bearer token; "" for none
}

// Source implements Feed.
func (f CarbonAware) Source() Source {
	return Source{Short: "carbon-aware-sdk", Name: "Carbon Aware SDK", Region: f.Location}
}

// Fetch implements Feed.
func (f CarbonAware) Fetch(ctx context.Context, now time.Time) (Series, error) {
	var ahead []struct {
		Data []struct {
			At      feedTime `json:"timestamp"`
			Minutes float64  `json:"duration"`
			Value   *float64 `json:"value"`
		} `json:"forecastData"`
	}
	err := f.ask(ctx, "/emissions/forecasts/current?location="+url.QueryEscape(f.Location), &ahead)
	if err != nil && (tutti.IsKind(err, tutti.KindExhausted) || ctx.Err() != nil) {
		return nil, err
	}
	var was []struct {
		At       feedTime `json:"time"`
		Rating   *float64 `json:"rating"`
		Duration string   `json:"duration"`
	}
	// Sources without a forecast still tell what was.
	query := url.Values{"location": {f.Location}, "time": {now.UTC().Add(-past).Format(time.RFC3339)}, "toTime": {now.UTC().Format(time.RFC3339)}}
	if wasErr := f.ask(ctx, "/emissions/bylocation?"+query.Encode(), &was); wasErr != nil && err != nil {
		return nil, wasErr
	}
	var points []Point
	for _, forecast := range ahead {
		for _, p := range forecast.Data {
			if p.Value == nil {
				continue
			}
			point := Point{From: p.At.Time, Grams: *p.Value, Forecast: true}
			if p.Minutes > 0 && p.Minutes <= 24*60 {
				point.To = point.From.Add(time.Duration(p.Minutes * float64(time.Minute)))
			}
			points = append(points, point)
		}
	}
	for _, p := range was {
		if p.Rating == nil {
			continue
		}
		point := Point{From: p.At.Time, Grams: *p.Rating}
		if d := timeSpan(p.Duration); d > 0 {
			point.To = point.From.Add(d)
		}
		points = append(points, point)
	}
	return newSeries(points)
}

func (f CarbonAware) ask(ctx context.Context, path string, into any) error {
	return f.get(ctx, f.Source().Name, strings.TrimSuffix(f.URL, "/")+path, func(r *http.Request) {
		if f.Key != "" {
			r.Header.Set("Authorization", "Bearer "+f.Key)
		}
	}, into)
}

// timeSpan reads [d.]hh:mm:ss as .NET writes a TimeSpan; 0 for what is none, or is longer than a day.
func timeSpan(s string) time.Duration {
	var h, m, sec int
	if n, err := fmt.Sscanf(s, "%d:%d:%d", &h, &m, &sec); n != 3 || err != nil || h < 0 || h > 24 || m < 0 || m > 59 || sec < 0 || sec > 59 {
		return 0
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(sec)*time.Second
}
