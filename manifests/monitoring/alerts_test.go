package monitoring

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/storage"
)

func rules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile("alerts.yaml", false, model.UTF8Validation, language, slog.Default())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var all []rulefmt.Rule
	for _, group := range groups.Groups {
		all = append(all, group.Rules...)
	}
	return all
}

// TestAlerts has every alert fire by what it is for, and no other with it; and none by a server that is well.
func TestAlerts(t *testing.T) {
	server := startSQLite(t)
	server.work(t)
	first := scrape(t, server.ops)
	began := time.Now()
	server.work(t)
	second := scrape(t, server.ops)
	apart := time.Since(began)
	all := rules(t)

	// How fast this machine is today is not the matter: nothing has taken longer than the first bucket, and no statement long.
	for _, scraped := range []map[string]metric{first, second} {
		for text, m := range scraped {
			name := m.labels.Get(model.MetricNameLabel)
			if histogram, is := strings.CutSuffix(name, "_bucket"); is && strings.HasSuffix(histogram, "_seconds") {
				count := labels.NewBuilder(m.labels).Set(model.MetricNameLabel, histogram+"_count").Del("le").Labels()
				m.value = scraped[count.String()].value
			} else if name == "harikube_slow_statements_total" {
				m.value = 0
			}
			scraped[text] = m
		}
	}
	well := continued(first, second, apart, nil)
	for _, rule := range all {
		exists(t, well, rule.Expr)
		if rule.Labels["severity"] != "critical" && rule.Labels["severity"] != "warning" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s says %v, %v", rule.Alert, rule.Labels, rule.Annotations)
		}
	}
	if names := firing(t, well, all); len(names) > 0 {
		t.Errorf("of a server that is well there fire %v", names)
	}

	// What the server would give, from the second hour on.
	cases := map[string]struct {
		change change
		also   []string
	}{
		"HariKubeDown": {change: func(name string, _ labels.Labels, minute int, v float64) (float64, bool) {
			if name == "up" {
				return 1 - later(minute), true
			}
			return v, later(minute) == 0
		}},
		"HariKubeDatabaseUnreachable": {change: set("etcd_server_has_leader", "", 0)},
		"HariKubeRefusesWrites":       {change: set("etcd_server_healthcheck", `name="write"`, 0)},
		"HariKubeTakenOver":           {change: grow("etcd_server_leader_changes_seen_total", "", 0.5)},
		"HariKubeDatabaseNearlyFull": {change: func(name string, of labels.Labels, minute int, v float64) (float64, bool) {
			if name == "etcd_server_quota_backend_bytes" {
				return second[key(second, "etcd_mvcc_db_total_size_in_bytes")].value / (0.3 + 0.65*later(minute)), true
			}
			return v, true
		}},
		"HariKubeDatabaseFillsUp": {change: func(name string, of labels.Labels, minute int, v float64) (float64, bool) {
			size := second[key(second, "etcd_mvcc_db_total_size_in_bytes")].value
			switch name {
			case "etcd_server_quota_backend_bytes":
				return 1.8 * size, true
			case "etcd_mvcc_db_total_size_in_bytes":
				return size * (1 + 0.001*float64(minute)), true
			}
			return v, true
		}},
		"HariKubeNotCompacted":           {change: grow("etcd_debugging_mvcc_current_revision", "", 1000)},
		"HariKubeSlowCommits":            {change: slow("etcd_disk_backend_commit_duration_seconds", 0.512)},
		"HariKubeWritesWait":             {change: slow("harikube_writer_queue_wait_seconds", 2)},
		"HariKubeWritesFail":             {change: grow("etcd_server_proposals_failed_total", "", 1)},
		"HariKubeReconnects":             {change: grow("harikube_writer_reconnects_total", "", 0.5)},
		"HariKubeSlowStatements":         {change: grow("harikube_slow_statements_total", "", 30)},
		"HariKubeServerErrors":           {change: grow("grpc_server_handled_total", `grpc_code="Internal",grpc_method="Txn"`, 100000)},
		"HariKubeWatchersBehind":         {change: set("etcd_debugging_mvcc_slow_watcher_total", "", 3)},
		"HariKubeWriteAheadLogGrows":     {change: set("harikube_sqlite_wal_bytes", "", 1<<30)},
		"HariKubeGarbageCollectionFails": {change: grow("harikube_gc_errors_total", "", 1)},
		"HariKubeAnswersWait":            {change: set("harikube_answers_waiting", "", 2)},
		"HariKubeHeapFull":               {change: set("jvm_memory_pool_collection_used_bytes", "Old Gen", second[key(second, "jvm_memory_max_bytes", `area="heap"`)].value)},
	}
	for _, rule := range all {
		test, there := cases[rule.Alert]
		if !there {
			t.Errorf("%s has no test", rule.Alert)
			continue
		}
		t.Run(rule.Alert, func(t *testing.T) {
			want := append([]string{rule.Alert}, test.also...)
			if names := firing(t, continued(first, second, apart, test.change), all); !slices.Equal(names, want) {
				t.Errorf("there fire %s, and not %v alone", describe(names), want)
			}
		})
	}
	t.Run("target gone", func(t *testing.T) {
		gone := func(_ string, _ labels.Labels, minute int, v float64) (float64, bool) { return v, later(minute) == 0 }
		if names := firing(t, continued(first, second, apart, gone), all); !slices.Equal(names, []string{"HariKubeDown"}) {
			t.Errorf("there fire %s", describe(names))
		}
	})

	// Of another program, even one in the same pod, none of it is ours to tell; an etcd has metrics of the same names.
	both := maps.Clone(well)
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		instance := fmt.Sprintf("10.0.1.%d:8443", len(both["up"]))
		for metric, series := range continued(first, second, apart, cases[name].change) {
			for _, one := range series {
				both[metric] = append(slices.Clip(both[metric]), foreign(one, instance))
			}
		}
	}
	if len(both["up"]) != 1+len(cases) {
		t.Errorf("there are %d servers", len(both["up"]))
	}
	if names := firing(t, both, all); len(names) > 0 {
		t.Errorf("by the faults of others there fire %v", names)
	}
	if len(cases) != len(all) {
		t.Errorf("there are %d alerts and %d tests of them", len(all), len(cases))
	}
}

// foreign is the series of another program.
func foreign(of *storage.SeriesEntry, instance string) *storage.SeriesEntry {
	builder := labels.NewBuilder(of.Lset)
	for name, value := range map[string]string{"container": "syncer", "service": "harikube", "job": "apiserver", "endpoint": "https", "instance": instance} {
		builder.Set(name, value)
	}
	return &storage.SeriesEntry{Lset: builder.Labels(), SampleIteratorFn: of.SampleIteratorFn}
}

// later is 1 from the second hour on, and 0 before.
func later(minute int) float64 {
	if minute >= 60 {
		return 1
	}
	return 0
}

// key returns that of a metric, by its name and parts of its labels.
func key(metrics map[string]metric, name string, parts ...string) string {
	for key, m := range metrics {
		if m.labels.Get(model.MetricNameLabel) == name && !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(key, part) }) {
			return key
		}
	}
	return ""
}

// matches says whether the text of the labels has all the parts, which stand between commas.
func matches(of labels.Labels, parts string) bool {
	for part := range strings.SplitSeq(parts, ",") {
		if !strings.Contains(of.String(), part) {
			return false
		}
	}
	return true
}

// set gives a metric another value.
func set(metric, parts string, to float64) change {
	return func(name string, of labels.Labels, minute int, v float64) (float64, bool) {
		if name == metric && later(minute) == 1 && matches(of, parts) {
			return to, true
		}
		return v, true
	}
}

// grow has a metric rise by so much in each minute.
func grow(metric, parts string, by float64) change {
	return func(name string, of labels.Labels, minute int, v float64) (float64, bool) {
		if name == metric && later(minute) == 1 && matches(of, parts) {
			return v + by*float64(minute-60), true
		}
		return v, true
	}
}

// slow has all of a histogram's observations fall above a bound.
func slow(metric string, bound float64) change {
	return func(name string, of labels.Labels, minute int, v float64) (float64, bool) {
		if le := of.Get("le"); name == metric+"_bucket" && later(minute) == 1 {
			var upper float64
			if _, err := fmt.Sscan(strings.Replace(le, "+Inf", "1e300", 1), &upper); err != nil {
				panic(err)
			}
			if upper > bound {
				return v + 1000*float64(minute-60), true
			}
		}
		return v, true
	}
}

// TestAlertsByRealFaults has some fire by what a server gives while it has the fault.
func TestAlertsByRealFaults(t *testing.T) {
	all := rules(t)
	fire := func(t *testing.T, metrics map[string]metric, want ...string) {
		t.Helper()
		names := firing(t, continued(metrics, metrics, time.Second, nil), all)
		for _, name := range want {
			if !slices.Contains(names, name) {
				t.Errorf("%s does not fire; there fire %s", name, describe(names))
			}
		}
	}
	t.Run("killed", func(t *testing.T) {
		server := startSQLite(t)
		server.stop()
		fire(t, scrape(t, server.ops), "HariKubeDown")
	})
	t.Run("full", func(t *testing.T) {
		server := startSQLite(t, "--quota-backend-bytes=4000000")
		server.fill(t)
		fire(t, scrape(t, server.ops), "HariKubeDatabaseNearlyFull")
	})
	t.Run("database lost", func(t *testing.T) {
		database := startPostgres(t)
		server := start(t, database.url)
		server.work(t)
		database.stop()
		metrics := server.until(t, "etcd_server_has_leader", 0)
		fire(t, metrics, "HariKubeDatabaseUnreachable")
	})
}

// TestDashboard checks that each panel has something to show.
func TestDashboard(t *testing.T) {
	data, err := os.ReadFile("dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	type grid struct{ X, Y, W, H int }
	var dashboard struct {
		UID, Title string
		Panels     []struct {
			ID          int
			Type, Title string
			GridPos     grid
			Datasource  struct{ UID string }
			Targets     []struct {
				RefID, Expr string
				Datasource  struct{ UID string }
			}
		}
		Templating struct {
			List []struct {
				Name, Type string
				Query      any
			}
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	if dashboard.UID == "" || dashboard.Title != "HariKube" || len(dashboard.Templating.List) != 3 {
		t.Errorf("it is %s, %s with %d variables", dashboard.UID, dashboard.Title, len(dashboard.Templating.List))
	}
	server := startSQLite(t)
	server.work(t)
	metrics := scrape(t, server.ops)
	h := continued(metrics, metrics, time.Second, nil)
	variables := strings.NewReplacer("$namespace", ".*", "$pod", ".*", "$__rate_interval", "5m")

	ids, taken := map[int]bool{}, map[string]string{}
	shown := 0
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] {
			t.Errorf("two panels have the number %d", panel.ID)
		}
		ids[panel.ID] = true
		for x := panel.GridPos.X; x < panel.GridPos.X+panel.GridPos.W; x++ {
			for y := panel.GridPos.Y; y < panel.GridPos.Y+panel.GridPos.H; y++ {
				place := fmt.Sprint(x, y)
				if x >= 24 || taken[place] != "" {
					t.Fatalf("%q is outside, or upon %q", panel.Title, taken[place])
				}
				taken[place] = panel.Title
			}
		}
		if panel.Type == "row" {
			continue
		}
		if len(panel.Targets) == 0 {
			t.Errorf("%q shows nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			if target.Datasource.UID != "${datasource}" || panel.Datasource.UID != "${datasource}" {
				t.Errorf("%q is of one Prometheus alone", panel.Title)
			}
			exists(t, h, variables.Replace(target.Expr))
			shown++
		}
	}
	if shown < 20 {
		t.Errorf("there are %d lines", shown)
	}
}
