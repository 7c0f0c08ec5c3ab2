package main

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPointsFollowTheFormulaOfTheChallenge(t *testing.T) {
	r := trial{Checks: 1000, Failed: 100, Median: 100, P90: 200, P95: 300, Seconds: 20}
	want := 1000 * 180 / (0.2*100 + 0.3*200 + 0.5*300) * math.Pow(0.9, 7)
	if got := r.points(); math.Abs(got-want) > 1e-9 {
		t.Errorf("%f points, not %f", got, want)
	}
	if got := (trial{Seconds: 20}).points(); got != 0 {
		t.Errorf("%f points for nothing", got)
	}
}

func TestATrialIsReadFromWhatK6Writes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "summary.json")
	if err := os.WriteFile(file, []byte(`{
		"http_req_duration": {"values": {"count": 240, "med": 10, "p(90)": 20, "p(95)": 30, "p(99)": 40}},
		"checks": {"values": {"passes": 239, "fails": 1}}, "refused": {"values": {"count": 1}},
		"window_0": {"values": {"count": 200, "med": 9, "p(95)": 25, "p(99)": 35}},
		"window_1": {"values": {"count": 40, "med": 11, "p(95)": 31, "p(99)": 41}}
	}`), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := readTrial(file, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if r.Requests != 240 || r.Checks != 240 || r.Failed != 1 || r.Refused != 1 || r.P99 != 40 || len(r.Windows) != 2 || r.Windows[1].Requests != 40 || r.Score == 0 {
		t.Errorf("read %+v", r)
	}
}

func TestATrialWithoutAnswersIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "summary.json")
	if err := os.WriteFile(file, []byte(`{}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readTrial(file, time.Second); err == nil {
		t.Error("no error")
	}
}

func TestTheTimeInAnObjectIsFoundAgain(t *testing.T) {
	c := &cluster{name: "sqlite"}
	value := timed(stored(c.widget(7)), 1234567*time.Nanosecond)
	if got := sentAt([]byte(value)); got != 1234567*time.Nanosecond {
		t.Errorf("found %s in %s", got, value)
	}
	if got := sentAt([]byte(stored(c.widget(7)))); got != 0 {
		t.Errorf("found %s where there is none", got)
	}
}

func TestCPUTimeOfThisProcessGrows(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		_ = strings.Repeat("x", 1<<16)
		if now, err := cpuTime(os.Getpid()); err != nil || now > before {
			return
		}
	}
	t.Error("ten seconds of work cost nothing")
}

func TestOnlyOursAreAskedBySelector(t *testing.T) {
	if w := (&cluster{name: "postgres"}).own(3); len(w.RangeEnd) == 0 || !strings.Contains(string(w.XXX_unrecognized), "name=w3") {
		t.Errorf("ours: %v", w)
	}
	if w := (&cluster{name: "etcd"}).own(3); string(w.Key) != prefix+"w3" || len(w.RangeEnd) > 0 || len(w.XXX_unrecognized) > 0 {
		t.Errorf("etcd: %v", w)
	}
}

// What one system fails at is an error, and the others' results are in the file.
func TestEachKeepsWhatTheOthersHaveShown(t *testing.T) {
	o := options{systems: []string{"one", "broken", "two"}, out: t.TempDir()}
	all, err := each(t.Context(), o, "results.json", func(_ context.Context, _ options, name string) ([]string, error) {
		if name == "broken" {
			return nil, errors.New("does not start")
		}
		return []string{name}, nil
	})
	if err == nil || !strings.Contains(err.Error(), "broken: does not start") {
		t.Errorf("the error is %v", err)
	}
	want := []string{"one", "two"}
	if !slices.Equal(all, want) {
		t.Errorf("found %q, want %q", all, want)
	}
	data, err := os.ReadFile(filepath.Join(o.out, "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	if err := json.Unmarshal(data, &kept); err != nil || !slices.Equal(kept, want) {
		t.Errorf("the file has %q, %v, want %q", kept, err, want)
	}
}

func TestRunsOfLaterRoundsJoinTheFirst(t *testing.T) {
	first := []standing{{System: "a", Runs: []trial{{Score: 2}}, Memory: map[string]float64{"store": 1}}, {System: "a", Objects: 5, Runs: []trial{{Score: 9}}}}
	later := []standing{{System: "a", Runs: []trial{{Score: 1}}, Memory: map[string]float64{"store": 2}}, {System: "b", Runs: []trial{{Score: 7}}}}
	all := merged(merged(merged(nil, first), later), []standing{{System: "a", Runs: []trial{{Score: 3}}}})
	if len(all) != 3 || len(all[0].Runs) != 3 || all[0].median().Score != 2 || all[0].Memory["store"] != 1 || all[1].median().Score != 9 {
		t.Errorf("%+v", all)
	}
}
