package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

//go:embed challenge.js
var challengeScript []byte

// The script has the same.
var challengeKinds = []string{"Anchor", "Beacon", "Compass", "Dinghy", "Ensign", "Fender"}

const (
	challengeGroup = "challenge.test"
	challengeUsers = 120
	policyFile     = "manifests/skip-controller-manager-metadata-caching.yaml"
	queuesFile     = "manifests/workload-low.yaml"
)

// policyPaths has the kinds of the policy's file.
var policyPaths = map[string]string{
	"ConfigMap":                        "/api/v1/namespaces/kube-system/configmaps",
	"MutatingAdmissionPolicy":          "/apis/admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicies",
	"MutatingAdmissionPolicyBinding":   "/apis/admissionregistration.k8s.io/v1beta1/mutatingadmissionpolicybindings",
	"ValidatingAdmissionPolicy":        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
	"ValidatingAdmissionPolicyBinding": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
}

// soonLoaded is up to how many objects each round begins with new systems, in turn: the machine changes
// within the minutes that a system with a million takes.
const soonLoaded = 50_000

// maxVanilla is how many objects an API server with a watch cache is asked to hold. It loads them
// through kine, which is slow.
var maxVanilla = map[string]int{"etcd": 200_000, "kine": 50_000}

// trial is what one run of the script came to.
type trial struct {
	Requests, Checks, Failed float64
	Refused                  float64 // requests, with 429
	Median, P90, P95, P99    float64 // milliseconds
	Seconds, Score           float64
	// CPU is what a request cost each program, in milliseconds.
	CPU     map[string]float64
	Windows []window
}

// window is a second of a run.
type window struct {
	Requests, Median, P95, P99 float64
}

// points are the challenge's, of an hour.
func (r trial) points() float64 {
	if r.Checks == 0 {
		return 0
	}
	perHour := r.Checks * 3600 / r.Seconds
	return perHour / (0.2*r.Median + 0.3*r.P90 + 0.5*r.P95) * math.Pow(1-r.Failed/r.Checks, 7)
}

// standing is the challenge of a system on a store of a size, in one form.
type standing struct {
	System  string
	Objects int
	AtOnce  bool
	Runs    []trial // in the order of their scores
	Memory  map[string]float64
	// ToEmpty are the points by those of an empty store, the median of the ratios of runs in turn with it;
	// 0: not measured.
	ToEmpty float64
}

func (s standing) median() trial { return s.Runs[len(s.Runs)/2] }

// challenge prints what each system scores at each number of objects.
func challenge(ctx context.Context, o options) error {
	if err := keepVersions(ctx, o); err != nil {
		return err
	}
	var all []standing
	var turns []string
	for round := range o.rounds {
		for i := range o.systems {
			turns = append(turns, o.systems[(i+round)%len(o.systems)])
		}
	}
	err := inTurn(ctx, o, turns, "challenge.json", func(turn int, name string) (any, error) {
		standings, err := challengeOf(ctx, o, name, turn < len(o.systems))
		all = merged(all, standings)
		return all, err
	})
	table := challengeTable(all)
	fmt.Print(table)
	return errors.Join(err, os.WriteFile(filepath.Join(o.out, "challenge.md"), []byte(table), 0o644))
}

// keepVersions writes down what the programs say of themselves.
func keepVersions(ctx context.Context, o options) error {
	var versions []string
	for _, command := range [][]string{{"kube-apiserver", "--version"}, {"k6", "version"}} {
		line, err := exec.CommandContext(ctx, filepath.Join(o.bin, command[0]), command[1:]...).Output()
		if err != nil {
			return fmt.Errorf("%s: %w", strings.Join(command, " "), err)
		}
		versions = append(versions, strings.TrimSpace(string(line)))
	}
	data, err := json.Marshal(versions)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.out, "versions.json"), data, 0o644)
}

// merged adds the runs of a later round to those of the ones before.
func merged(all, later []standing) []standing {
	for _, s := range later {
		i := slices.IndexFunc(all, func(t standing) bool {
			return t.System == s.System && t.Objects == s.Objects && t.AtOnce == s.AtOnce
		})
		if i < 0 {
			i = len(all)
			all = append(all, s)
		} else {
			all[i].Runs = append(all[i].Runs, s.Runs...)
		}
		slices.SortFunc(all[i].Runs, func(a, b trial) int { return cmp.Compare(a.Score, b.Score) })
	}
	return all
}

func challengeTable(all []standing) string {
	table := "| | objects | requests | per second | median ms | p90 | p95 | p99 | failed | score per hour | to etcd's | to the first |\n" +
		"|---|---|---|---|---|---|---|---|---|---|---|---|\n"
	for _, s := range all {
		r := s.median()
		same := func(system string, objects int) string {
			i := slices.IndexFunc(all, func(t standing) bool {
				return t.System == system && t.AtOnce == s.AtOnce && t.Objects == objects
			})
			if i < 0 || all[i].median().Score == 0 {
				return "–"
			}
			return fmt.Sprintf("%.2f×", r.Score/all[i].median().Score)
		}
		toFirst := same(s.System, all[slices.IndexFunc(all, func(t standing) bool { return t.System == s.System })].Objects)
		if s.ToEmpty != 0 {
			toFirst = fmt.Sprintf("%.2f×", s.ToEmpty)
		}
		form := "one by one"
		if s.AtOnce {
			form = "six at once"
		}
		table += fmt.Sprintf("| %s | %d | %s | %.0f | %.1f | %.1f | %.1f | %.1f | %.2f %% | %.0f | %s | %s |\n",
			s.System, s.Objects, form, r.Requests/r.Seconds, r.Median, r.P90, r.P95, r.P99, 100*r.Failed/math.Max(r.Checks, 1),
			r.Score, same("etcd", s.Objects), toFirst)
	}
	return table
}

// challengeOf measures the numbers of objects that it takes long to load in the first round alone, as
// often as there are rounds. Six at once, which nothing is scored by, is measured once, and so is kine,
// which is slow to load.
func challengeOf(ctx context.Context, o options, name string, first bool) ([]standing, error) {
	most, vanilla := maxVanilla[name]
	counts := slices.DeleteFunc(slices.Clone(o.counts), func(count int) bool {
		return (!first && (count > soonLoaded || name == "kine")) || (vanilla && count > most)
	})
	if len(counts) == 0 {
		return nil, nil
	}
	c, err := startContest(ctx, o, name)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	store, err := c.storeClient()
	if err != nil {
		return nil, err
	}
	defer store.Close()
	var empty *cluster
	defer func() {
		if empty != nil {
			empty.stop()
		}
	}()
	var all []standing
	for i, count := range counts {
		if err := c.preload(ctx, store, count); err != nil {
			return nil, err
		}
		warmup := o.warmup
		if i == 0 {
			warmup = o.settle
		}
		if err := c.warm(ctx, o, count, warmup); err != nil {
			return nil, err
		}
		if count > soonLoaded && c.ours() && empty == nil {
			beside := o
			beside.out = filepath.Join(o.out, "empty")
			if empty, err = startContest(ctx, beside, name); err != nil {
				return nil, err
			}
			if err := empty.warm(ctx, beside, 0, o.settle); err != nil {
				return nil, err
			}
		}
		alone, err := c.standing(ctx, o, count, false, empty)
		if err != nil {
			return nil, err
		}
		all = append(all, alone)
		if first {
			atOnce, err := c.standing(ctx, o, count, true, nil)
			if err != nil {
				return nil, err
			}
			all = append(all, atOnce)
		}
	}
	return all, nil
}

// startContest starts a cluster with all that the script needs.
func startContest(ctx context.Context, o options, name string) (*cluster, error) {
	c, err := startCluster(ctx, o, name)
	if err != nil {
		return nil, err
	}
	for _, kind := range challengeKinds {
		if err == nil {
			err = c.define(ctx, definition(challengeGroup, kind), challengePath(kind))
		}
	}
	if err == nil {
		err = c.labelAll(ctx)
	}
	if err == nil {
		err = c.lengthenQueues(ctx)
	}
	if err == nil {
		c.token, err = c.contestant(ctx, challengeGroup, "create", "list")
	}
	if err != nil {
		c.stop()
		return nil, err
	}
	return c, nil
}

// warm runs the script for nothing. An empty store is empty again after it.
func (c *cluster) warm(ctx context.Context, o options, count int, length time.Duration) error {
	fmt.Printf("    %d objects: warming up\n", count)
	_, err := c.k6(ctx, o, length, false)
	if err == nil && count == 0 {
		err = c.forget(ctx)
	}
	return err
}

// standing runs the script on a store of so many objects; one that took long to load as often as there
// are rounds, and if there is an empty one, in turn with it and twice as often: the speed of the machine
// changes by a fifth from one run to the next, points by its square, and of three ratios the middle one
// was 0.7 or 1.2 for what is level.
func (c *cluster) standing(ctx context.Context, o options, count int, atOnce bool, empty *cluster) (standing, error) {
	s := standing{System: c.name, Objects: count, AtOnce: atOnce, Memory: map[string]float64{}}
	runs := 1
	if !atOnce && count > soonLoaded {
		runs = o.rounds
	}
	if empty != nil {
		runs *= 2
	}
	var ratios []float64
	for run := range runs {
		turns := []*cluster{c}
		if empty != nil {
			turns = []*cluster{empty, c}
		}
		if run%2 == 1 {
			slices.Reverse(turns) // so that who is after the other is no advantage
		}
		trials := map[*cluster]trial{}
		for _, turn := range turns {
			objects := count
			if turn == empty {
				objects = 0
			}
			var err error
			if trials[turn], err = turn.trial(ctx, o, objects, atOnce); err != nil {
				return s, err
			}
		}
		s.Runs = append(s.Runs, trials[c])
		if empty == nil {
			continue
		}
		if err := empty.forget(ctx); err != nil {
			return s, err
		}
		if base := trials[empty]; base.Score != 0 {
			ratios = append(ratios, trials[c].Score/base.Score)
		}
	}
	if len(ratios) > 0 {
		s.ToEmpty = medianOf(ratios)
	}
	for _, program := range programs {
		p, err := c.Process(program)
		if err != nil {
			return s, err
		}
		if s.Memory[program], err = resident(p.PID); err != nil {
			return s, err
		}
	}
	return s, nil
}

// trial runs the script and prints what it came to.
func (c *cluster) trial(ctx context.Context, o options, count int, atOnce bool) (trial, error) {
	r, err := c.k6(ctx, o, o.duration, atOnce)
	if err == nil {
		fmt.Printf("    %d objects, at once: %t, %.0f requests per second, median %.0f ms, p95 %.0f ms, %.0f failed, %.0f refused; CPU per request: kube-apiserver %.2f ms, store %.2f ms\n",
			count, atOnce, r.Requests/r.Seconds, r.Median, r.P95, r.Failed, r.Refused, r.CPU["kube-apiserver"], r.CPU["store"])
	}
	return r, err
}

func challengePath(kind string) string {
	return "/apis/" + challengeGroup + "/v1/namespaces/default/" + strings.ToLower(kind) + "s"
}

// preload writes objects until there are so many, besides those of the script, and returns when the
// API server knows the last one.
func (c *cluster) preload(ctx context.Context, store *clientv3.Client, count int) error {
	put := func(i int) (key string, object []byte) {
		kind := challengeKinds[i%len(challengeKinds)]
		name := fmt.Sprintf("stored-%d", i)
		return "/registry/" + challengeGroup + "/" + strings.ToLower(kind) + "s/default/" + name, c.object(challengeGroup, kind, name, i)
	}
	if err := c.load(ctx, store, count, put); err != nil || count == 0 {
		return err
	}
	last := count - 1
	return until(ctx, func() error {
		found, err := c.listed(ctx, fmt.Sprintf("%s?labelSelector=name%%3Dstored-%d", challengePath(challengeKinds[last%len(challengeKinds)]), last))
		if err == nil && found != 1 {
			err = fmt.Errorf("a list for the last object finds %d", found)
		}
		return err
	})
}

// forget deletes what the script has created.
func (c *cluster) forget(ctx context.Context) error {
	var deletes sync.WaitGroup
	failures := make([]error, len(challengeKinds))
	for i, kind := range challengeKinds {
		deletes.Go(func() {
			_, failures[i] = c.do(ctx, http.MethodDelete, challengePath(kind)+"?labelSelector=app%3Dchallenge", nil)
		})
	}
	deletes.Wait()
	return errors.Join(failures...)
}

// labelAll installs the policy that keeps custom resources out of the controller manager's memory, as
// a release of ours does. Kubernetes as it is does not know the label.
func (c *cluster) labelAll(ctx context.Context) error {
	if !c.ours() {
		return nil
	}
	text, err := os.ReadFile(policyFile)
	if err != nil {
		return err
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		path := ""
		for line := range strings.Lines(document) {
			if kind, found := strings.CutPrefix(line, "kind: "); found {
				path = policyPaths[strings.TrimSpace(kind)]
			}
		}
		err := until(ctx, func() error { // the namespace may not be there yet
			_, err := c.send(ctx, http.MethodPost, path, "application/yaml", []byte(document))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lengthenQueues lets one account have more requests in flight.
func (c *cluster) lengthenQueues(ctx context.Context) error {
	text, err := os.ReadFile(queuesFile)
	if err != nil {
		return err
	}
	_, err = c.send(ctx, http.MethodPatch, "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations/workload-low"+
		"?fieldManager=bench&force=true", "application/apply-patch+yaml", text)
	return err
}

// contestant makes a user who may do so with the objects of a group and nothing else, and returns a token.
func (c *cluster) contestant(ctx context.Context, group string, verbs ...string) (token string, err error) {
	const roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/"
	for _, object := range []struct{ path, body string }{
		{"/api/v1/namespaces/default/serviceaccounts", `{"metadata":{"name":"contestant"}}`},
		{roles + "roles", `{"metadata":{"name":"contestant"},"rules":[{"apiGroups":["` + group +
			`"],"resources":["*"],"verbs":["` + strings.Join(verbs, `","`) + `"]}]}`},
		{roles + "rolebindings", `{"metadata":{"name":"contestant"},"subjects":[{"kind":"ServiceAccount","name":"contestant",` +
			`"namespace":"default"}],"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"contestant"}}`},
	} {
		if _, err := c.do(ctx, http.MethodPost, object.path, []byte(object.body)); err != nil {
			return "", err
		}
	}
	answer, err := c.do(ctx, http.MethodPost, "/api/v1/namespaces/default/serviceaccounts/contestant/token",
		[]byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":86400}}`))
	if err != nil {
		return "", err
	}
	var request struct{ Status struct{ Token string } }
	err = json.Unmarshal(answer, &request)
	return request.Status.Token, err
}

// k6 runs the script.
func (c *cluster) k6(ctx context.Context, o options, length time.Duration, atOnce bool) (trial, error) {
	c.runs++
	label := fmt.Sprintf("r%d", c.runs)
	script, summary := filepath.Join(c.folder, "challenge.js"), filepath.Join(c.folder, "challenge-"+label+".json")
	if err := os.WriteFile(script, challengeScript, 0o644); err != nil {
		return trial{}, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(o.bin, "k6"), "run", "--quiet", "--no-usage-report", script)
	cmd.Dir = c.folder
	cmd.Env = append(os.Environ(), "K6_AUTO_EXTENSION_RESOLUTION=false", "K6_NO_COLOR=true",
		"URL="+c.URL, "TOKEN="+c.token, fmt.Sprintf("SECONDS=%d", int(length.Seconds())),
		fmt.Sprintf("USERS=%d", challengeUsers), fmt.Sprintf("AT_ONCE=%t", atOnce), "RUN="+label, "SUMMARY="+summary)
	log, err := os.Create(filepath.Join(c.folder, "k6-"+label+".log"))
	if err != nil {
		return trial{}, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	before, err := c.cpuTimes()
	if err != nil {
		return trial{}, err
	}
	if err := cmd.Run(); err != nil {
		return trial{}, fmt.Errorf("k6: %w; its output is in %s", err, log.Name())
	}
	after, err := c.cpuTimes()
	if err != nil {
		return trial{}, err
	}
	r, err := readTrial(summary, length)
	if err != nil {
		return trial{}, err
	}
	r.CPU = map[string]float64{}
	for program, used := range after {
		r.CPU[program] = float64((used - before[program]).Microseconds()) / 1000 / r.Requests
	}
	return r, nil
}

// cpuTimes returns what the programs have used so far.
func (c *cluster) cpuTimes() (map[string]time.Duration, error) {
	times := map[string]time.Duration{}
	for _, program := range programs {
		p, err := c.Process(program)
		if err != nil {
			return nil, err
		}
		if times[program], err = cpuTime(p.PID); err != nil {
			return nil, err
		}
	}
	return times, nil
}

// cpuTime is that of a process in user and system mode, which Linux tells in hundredths of a second.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is a name in parentheses that may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("process %d has no CPU time", pid)
	}
	user, userErr := strconv.Atoi(fields[11])
	system, systemErr := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(userErr, systemErr)
}

// readTrial reads what the script has written: values of metrics by name.
func readTrial(file string, length time.Duration) (trial, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return trial{}, err
	}
	var metrics map[string]struct{ Values map[string]float64 }
	if err := json.Unmarshal(data, &metrics); err != nil {
		return trial{}, fmt.Errorf("%s: %w", file, err)
	}
	duration, checks := metrics["http_req_duration"].Values, metrics["checks"].Values
	r := trial{
		Requests: duration["count"], Checks: checks["passes"] + checks["fails"], Failed: checks["fails"],
		Refused: metrics["refused"].Values["count"],
		Median:  duration["med"], P90: duration["p(90)"], P95: duration["p(95)"], P99: duration["p(99)"],
		Seconds: length.Seconds(),
	}
	for i := 0; ; i++ {
		m, ok := metrics[fmt.Sprintf("window_%d", i)]
		if !ok {
			break
		}
		r.Windows = append(r.Windows, window{m.Values["count"], m.Values["med"], m.Values["p(95)"], m.Values["p(99)"]})
	}
	r.Score = r.points()
	if r.Requests == 0 {
		return trial{}, fmt.Errorf("%s: no request was answered", file)
	}
	return r, nil
}
