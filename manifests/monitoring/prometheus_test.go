package monitoring

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// target are the labels that the Prometheus Operator gives what it scrapes by our ServiceMonitor.
var target = map[string]string{
	"namespace": "harikube", "pod": "harikube-0", "container": "harikube", "service": "harikube-metrics", "job": "harikube-metrics",
	"endpoint": "metrics", "instance": "10.0.0.1:8080",
}

// metric is one line of what a server gives.
type metric struct {
	labels labels.Labels
	kind   model.MetricType
	value  float64
}

// scrape returns what a server gives, with `up`, by the text of its labels; up is 0 and alone if it gives nothing.
func scrape(t *testing.T, url string) map[string]metric {
	t.Helper()
	metrics := map[string]metric{}
	add := func(from labels.Labels, kind model.MetricType, v float64) {
		builder := labels.NewBuilder(from)
		for name, value := range target {
			builder.Set(name, value)
		}
		all := builder.Labels()
		if _, twice := metrics[all.String()]; twice {
			t.Errorf("%s comes twice", all)
		}
		metrics[all.String()] = metric{all, kind, v}
	}
	up := labels.FromStrings(model.MetricNameLabel, "up")
	client := http.Client{Timeout: 3 * time.Minute}
	response, err := client.Get(url + "/metrics")
	if errors.Is(err, syscall.ECONNREFUSED) {
		add(up, model.MetricTypeGauge, 0)
		return metrics
	}
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, response.Status, err)
	}
	add(up, model.MetricTypeGauge, 1)
	p, err := textparse.New(body, response.Header.Get("Content-Type"), labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var kind model.MetricType
	for {
		entry, err := p.Next()
		if err == io.EOF {
			return metrics
		}
		if err != nil {
			t.Fatal(err)
		}
		switch entry {
		case textparse.EntryType:
			_, kind = p.Type()
		case textparse.EntrySeries:
			_, _, v := p.Series()
			var of labels.Labels
			p.Labels(&of)
			add(of, kind, v)
		}
	}
}

// minutes is how long a history lasts: the longest alert looks back six hours, and then waits for one.
const minutes = 8 * 60

// history is what a Prometheus has scraped, a sample a minute.
type history map[string][]*storage.SeriesEntry // by the name of the metric

// change says what becomes of a sample; it may return none, of a server that is not there.
type change func(name string, of labels.Labels, minute int, value float64) (float64, bool)

// continued goes on from two scrapes that are some seconds apart: counters as they went between the two, and everything
// else as it was in the second.
func continued(first, second map[string]metric, apart time.Duration, change change) history {
	h := history{}
	for key, last := range second {
		slope := 0.0
		if before, known := first[key]; known && (last.kind == model.MetricTypeCounter || last.kind == model.MetricTypeHistogram) {
			slope = (last.value - before.value) / apart.Minutes()
		}
		samples := make([]chunks.Sample, 0, minutes)
		name := last.labels.Get(model.MetricNameLabel)
		there := true
		for minute := range minutes {
			v := last.value + slope*float64(minute)
			is := true
			if change != nil {
				v, is = change(name, last.labels, minute, v)
			}
			if is {
				samples = append(samples, sample{at(minute), v})
			} else if there { // as Prometheus marks the end of a series
				samples = append(samples, sample{at(minute), math.Float64frombits(value.StaleNaN)})
			}
			there = is
		}
		h[name] = append(h[name], storage.NewListSeries(last.labels, samples))
	}
	return h
}

func at(minute int) int64 { return int64(minute) * time.Minute.Milliseconds() }

type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                      { return s.at }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.value }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// A history is asked as Prometheus' own database is.

func (h history) Querier(_, _ int64) (storage.Querier, error) { return querier{h}, nil }

type querier struct{ history }

func (querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (querier) Close() error { return nil }

func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &series{next: -1}
	for _, matcher := range matchers {
		if matcher.Name != model.MetricNameLabel || matcher.Type != labels.MatchEqual {
			continue
		}
		for _, entry := range q.history[matcher.Value] {
			if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(entry.Lset.Get(m.Name)) }) {
				set.of = append(set.of, entry)
			}
		}
	}
	slices.SortFunc(set.of, func(a, b *storage.SeriesEntry) int { return labels.Compare(a.Lset, b.Lset) })
	return set
}

type series struct {
	of   []*storage.SeriesEntry
	next int
}

func (s *series) Next() bool                        { s.next++; return s.next < len(s.of) }
func (s *series) At() storage.Series                { return s.of[s.next] }
func (s *series) Err() error                        { return nil }
func (s *series) Warnings() annotations.Annotations { return nil }

var (
	language = parser.NewParser(parser.Options{})
	engine   = promql.NewEngine(promql.EngineOpts{MaxSamples: 50_000_000, Timeout: time.Minute, Parser: language, EnableNegativeOffset: true})
)

// query evaluates an expression at each minute of the history.
func query(t *testing.T, h history, expr string) promql.Matrix {
	t.Helper()
	q, err := engine.NewRangeQuery(t.Context(), h, nil, expr, time.UnixMilli(0), time.UnixMilli(at(minutes-1)), time.Minute)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	defer q.Close()
	result := q.Exec(t.Context())
	matrix, err := result.Matrix()
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return promql.Matrix(slices.Clone(matrix))
}

// firing are the alerts that fire at some time.
func firing(t *testing.T, h history, rules []rulefmt.Rule) []string {
	t.Helper()
	var names []string
	for _, rule := range rules {
		if fires(query(t, h, rule.Expr), time.Duration(rule.For)) {
			names = append(names, rule.Alert)
		}
	}
	return names
}

// fires says whether a series has been there for so long without a gap.
func fires(matrix promql.Matrix, wait time.Duration) bool {
	for _, series := range matrix {
		begin := int64(-1)
		for i, point := range series.Floats {
			if i == 0 || point.T-series.Floats[i-1].T > time.Minute.Milliseconds() {
				begin = point.T
			}
			if point.T-begin >= wait.Milliseconds() {
				return true
			}
		}
	}
	return false
}

// selectors are the parts of an expression that name metrics.
func selectors(t *testing.T, expr string) []string {
	t.Helper()
	parsed, err := language.ParseExpr(expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	found := map[string]bool{}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if selector, is := node.(*parser.VectorSelector); is {
			found[selector.String()] = true
		}
		return nil
	})
	if len(found) == 0 {
		t.Errorf("%s asks for nothing", expr)
	}
	return slices.Sorted(maps.Keys(found))
}

// exists checks that each metric of an expression, with its labels, is one that the server gives.
func exists(t *testing.T, h history, expr string) {
	t.Helper()
	for _, selector := range selectors(t, expr) {
		if len(query(t, h, selector)) == 0 {
			t.Errorf("the server does not give %s, of %s", selector, strings.Join(strings.Fields(expr), " "))
		}
	}
}

func describe(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return fmt.Sprint(names)
}
