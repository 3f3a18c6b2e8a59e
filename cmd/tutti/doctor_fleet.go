package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/origin/s3"
	"tutti/peer"
	"tutti/peer/members"
	"tutti/store"
)

// slowStore is how long the state may take to answer before a doctor remarks on it: a request for something that only
// the store knows waits as long.
const slowStore = 50 * time.Millisecond

// examineStore asks a store that lies elsewhere for something, twice: the first time makes the connection.
func examineStore(ctx context.Context, s *settings) []finding {
	n := newNode(s, slog.New(slog.DiscardHandler))
	var err error
	if n.keys, err = s.readKeys(); err == nil {
		n.store, err = n.openStore(ctx)
	}
	if err != nil {
		return []finding{{broken, "the store: " + explain(err), "is it the right address, and are there credentials (AWS_ACCESS_KEY_ID, or the machine's role)?"}}
	}
	defer n.store.Close() // nothing was written
	var took time.Duration
	for range 2 {
		began := n.clock.Now()
		_, err = n.store.Get(ctx, store.Key{PK: "fleet", SK: "nobody"})
		took = n.clock.Now().Sub(began)
	}
	if !tutti.IsKind(err, tutti.KindNotFound) {
		return []finding{{broken, "the store does not answer: " + explain(err), "look at its log, and at the network between"}}
	}
	out := []finding{well("the store answers in %v", took.Round(10*time.Microsecond))}
	if took > slowStore {
		out = []finding{{notice, fmt.Sprintf("the store takes %v for one answer", took.Round(time.Millisecond)), "is it in the same region as this process?"}}
	}
	if s.Role == "delivery" || s.Role == "all" {
		out = append(out, examineSecret(s)...)
	}
	return out
}

// examineBucket lists the beginning of a bucket.
func examineBucket(ctx context.Context, m musicFolder) finding {
	const id = "1"
	b := m.S3
	o, err := s3.New(ctx, s3.Config{
		Libraries: []s3.Library{{
			ID: id, Name: m.Name, Bucket: b.Bucket, Prefix: b.Prefix, Endpoint: b.Endpoint, Region: b.Region, PathStyle: b.PathStyle, Anonymous: b.Anonymous,
		}},
		Clock: clock.System,
	})
	if err == nil {
		defer o.Close()
		_, err = o.List(ctx, id, ".")
	}
	if err != nil {
		return finding{broken, fmt.Sprintf("music in %s: %s", m.Path, explain(err)), "is the address right, and may these credentials list and read it?"}
	}
	return well("music in %s", m.Path)
}

// examineFleet looks at the keys, at who is there, and at what the state costs.
func examineFleet(ctx context.Context, s *settings) []finding {
	if !s.fleet() {
		return nil
	}
	var out []finding
	keys, err := s.readKeys()
	switch {
	case err != nil:
		out = append(out, finding{broken, "the fleet's keys: " + explain(err), "make them with: tutti fleet key FILE"})
	case peer.Secured(s.Listen, keys) != nil:
		out = append(out, finding{broken, explain(peer.Secured(s.Listen, keys)), "make keys with: tutti fleet key FILE, and name the file with --fleet-key-file"})
	case keys == nil:
		out = append(out, finding{notice, "the fleet has no keys, so only loopback is spoken to, and nginx fetches no bytes itself", "make them with: tutti fleet key FILE"})
	default:
		out = append(out, well("the fleet's keys"))
	}
	n := newNode(s, slog.New(slog.DiscardHandler))
	n.keys = keys
	if n.store, err = n.openStore(ctx); err != nil {
		return out // examineDatabase has said so
	}
	defer n.store.Close() // nothing was written
	watching, stop := context.WithCancel(ctx)
	defer stop()
	defer n.clock.AfterFunc(settle, stop).Stop()
	fleet, err := members.New(ctx, members.Config{Store: n.store, Clock: n.clock, Logger: n.logger})
	if err == nil {
		err = fleet.Run(watching)
	}
	if err != nil {
		return append(out, finding{broken, "the members of the fleet: " + explain(err), "look at the store"})
	}
	for _, service := range []tutti.Service{tutti.ServiceDelivery, tutti.ServiceCatalog, tutti.ServiceTrackCache} {
		ready := fleet.Members(service)
		switch len(ready) {
		case 0:
			out = append(out, finding{broken, fmt.Sprintf("no %s is ready", service), "start one: tutti serve --role " + string(service)})
		case 1:
			out = append(out, finding{notice, fmt.Sprintf("one %s only: when it ends, so does the music", service), "start another on another machine"})
		default:
			out = append(out, well("%d × %s", len(ready), service))
		}
	}
	out = append(out, n.examineMetadata(ctx, fleet.All())...)
	return append(out, n.examineSpending(ctx, fleet.All())...)
}

// examineMetadata says what keeps metadata from being written small, or what that has brought.
func (n *node) examineMetadata(ctx context.Context, all []tutti.Member) []finding {
	var out []finding
	for _, m := range all {
		if m.Service == tutti.ServiceCatalog && !m.ReadsAll(tutti.FormPacked) && n.settings.Metadata.Store == "auto" {
			out = append(out, finding{
				notice, fmt.Sprintf("%s at %s, version %s, cannot read the packed catalogue, so none writes it", m.Service, m.Address, m.Version),
				"upgrade it when all else runs well",
			})
		}
	}
	var stored, before, units, unitsBefore, written, travelled float64
	for _, m := range all {
		figures, err := n.metricsOf(ctx, m)
		if err != nil {
			continue // examineSpending says so
		}
		stored += figures[`tutti_catalog_written_bytes_total{form="stored"}`]
		before += figures[`tutti_catalog_written_bytes_total{form="before"}`]
		units += figures[`tutti_catalog_written_units_total{form="stored"}`]
		unitsBefore += figures[`tutti_catalog_written_units_total{form="before"}`]
		written += figures[`tutti_peer_metadata_bytes_total{form="written"}`]
		travelled += figures[`tutti_peer_metadata_bytes_total{form="travelled"}`]
	}
	if before > 0 {
		out = append(out, well("the catalogue's log and snapshots took %.1f MB and %.0f write units since the members started, instead of %.1f MB and %.0f",
			stored/1e6, units, before/1e6, unitsBefore))
	}
	if written > 0 {
		out = append(out, well("metadata between the members took %.1f MB, instead of %.1f MB", travelled/1e6, written/1e6))
	}
	return out
}

// examineSpending adds up what the members say they have consumed of the store, and what that is a month.
func (n *node) examineSpending(ctx context.Context, all []tutti.Member) []finding {
	if n.settings.Store.Table == "" {
		return nil
	}
	var spent, monthly float64
	var out []finding
	for _, m := range all {
		figures, err := n.metricsOf(ctx, m)
		if err != nil {
			out = append(out, finding{notice, fmt.Sprintf("%s at %s does not show its metrics: %v", m.Service, m.Address, err), "is the network open between this machine and that one?"})
			continue
		}
		dollars := figures["tutti_dynamodb_cost_dollars_total"]
		spent += dollars
		if since := n.clock.Now().Sub(m.Started).Hours(); since > 0 {
			monthly += dollars / since * 730
		}
	}
	return append(out, well("the store has cost $%.4f since the members started, which is $%.2f a month", spent, monthly))
}

// maxMetrics is far more than a member's metrics take, in bytes.
const maxMetrics = 4 << 20

// metricsOf asks a member for its metrics and returns the sum of each over its labels, and over all but one of them:
// "name" and `name{label="value"}`.
func (n *node) metricsOf(ctx context.Context, m tutti.Member) (map[string]float64, error) {
	tls, err := n.settings.fleetTLS()
	if err != nil {
		return nil, err
	}
	scheme := "http"
	if tls != nil {
		scheme = "https"
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: tls, DisableKeepAlives: true}, Timeout: 5 * time.Second}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+m.Address+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", resp.Status)
	}
	return sumMetrics(io.LimitReader(resp.Body, maxMetrics))
}

// sumMetrics reads Prometheus's text format
// (https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details) as far as sums need it.
func sumMetrics(r io.Reader) (map[string]float64, error) {
	sums := map[string]float64{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<10)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, " ")
		var pairs []string
		if labels := strings.IndexByte(line, '{'); labels >= 0 {
			end := strings.LastIndexByte(line, '}') // labels may hold spaces
			if end < labels {
				continue
			}
			name, value, ok = line[:labels], strings.TrimSpace(line[end+1:]), true
			pairs = strings.SplitAfter(line[labels+1:end], `",`)
		}
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(value, " ") // a time may follow
		if v, err := strconv.ParseFloat(number, 64); err == nil {
			sums[name] += v
			for _, pair := range pairs {
				sums[name+"{"+strings.TrimSuffix(pair, ",")+"}"] += v
			}
		}
	}
	return sums, lines.Err()
}
