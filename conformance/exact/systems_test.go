// Package exact compares Kubernetes on HariKube with Kubernetes as it is: the same requests go to an
// API server without patches on etcd, and to patched ones on HariKube, and the answers must be equal.
//
// The requests are random. HARIKUBE_EXACT_SEED repeats a run that failed, HARIKUBE_EXACT_ROUNDS makes
// runs longer, and HARIKUBE_EXACT_CACHED=1 compares one more, with the watch cache that Kubernetes has
// unless it is told otherwise.
package exact

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"harikube.io/conformance/postgres"
	"harikube.io/controlplane"
)

var (
	build = filepath.Join("..", "..", "build")
	bin   = filepath.Join(build, "bin")
)

const (
	// within is for everything that only takes so long when it hangs.
	within    = time.Minute
	pollEvery = 50 * time.Millisecond
)

// system is an API server and its store.
type system struct {
	name   string
	config controlplane.Config
	plane  *controlplane.ControlPlane
	client *http.Client
}

// cached is the system that may answer from its memory: what was a moment ago, where a request allows that.
const cached = "etcd with watch cache"

// uncached are the systems that answer what is.
func (all systems) uncached() systems {
	if last := len(all) - 1; all[last].name == cached {
		return all[:last]
	}
	return all
}

// systems are to answer alike: the first is Kubernetes as it is.
type systems []*system

// args are for every API server.
var args = []string{
	"--disable-admission-plugins=ServiceAccount", // which waits for the controller manager
	"--etcd-compaction-interval=0",               // old revisions are asked for
	"--max-requests-inflight=0", "--max-mutating-requests-inflight=0", "--enable-priority-and-fairness=false",
}

// newSystems are not started.
func newSystems(t *testing.T) systems {
	t.Helper()
	reference := controlplane.Config{Store: controlplane.Etcd{}, APIServer: filepath.Join("unpatched", "kube-apiserver")}
	all := systems{
		{name: "etcd", config: reference},
		{name: "sqlite", config: controlplane.Config{Store: controlplane.HariKube{}}},
	}
	if endpoint, ok := postgres.DatabaseIfAny(t, bin); ok {
		all = append(all, &system{name: "postgres", config: controlplane.Config{Store: controlplane.HariKube{Endpoint: endpoint}}})
	}
	if os.Getenv("HARIKUBE_EXACT_CACHED") != "" {
		all = append(all, &system{name: cached, config: reference})
	}
	for _, s := range all {
		s.config.Bin = bin
		s.config.Data = filepath.Join(build, "test-data", "exact", t.Name(), strings.ReplaceAll(s.name, " ", "-"))
		if err := os.RemoveAll(s.config.Data); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// start starts the systems, or starts them again with other arguments.
func (all systems) start(t *testing.T, more ...string) {
	t.Helper()
	// Stopped when the test ends, whatever has been started by then.
	t.Cleanup(all.stop)
	errs := make([]error, len(all))
	all.each(func(i int, s *system) { errs[i] = s.start(t, more) })
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (s *system) start(t *testing.T, more []string) error {
	config := s.config
	config.NoControllerManager = true
	config.APIServerArgs = slices.Concat(args, more)
	if s.name == cached {
		config.APIServerArgs = append(config.APIServerArgs, "--watch-cache=true")
	}
	// Another package's tests start control planes at the same time, from the usual port on.
	var err error
	if config.Port, err = controlplane.FreePort(); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	config.Log = func(line string) { t.Logf("%s: %s", s.name, line) }
	if s.plane, err = controlplane.Start(t.Context(), config); err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	s.client, err = s.plane.Client()
	return err
}

func (all systems) stop() {
	all.each(func(_ int, s *system) {
		if s.plane != nil {
			s.client.CloseIdleConnections()
			s.plane.Stop(context.Background())
			s.plane = nil
		}
	})
}

// each calls a function for all systems at once.
func (all systems) each(call func(i int, s *system)) {
	var done sync.WaitGroup
	for i, s := range all {
		done.Go(func() { call(i, s) })
	}
	done.Wait()
}

// request is for each system the same, but for what differs between them: resource versions and the
// tokens of next pages.
type request struct {
	method, path, accept, contentType string
	query                             url.Values
	own                               func(system int) url.Values
	body                              any
}

func (r request) url(base string, system int) string {
	query := url.Values{}
	for name, values := range r.query {
		query[name] = values
	}
	if r.own != nil {
		for name, values := range r.own(system) {
			query[name] = values
		}
	}
	return base + r.path + "?" + query.Encode()
}

func (r request) String() string {
	text := fmt.Sprintf("%s %s?%s", r.method, r.path, r.query.Encode())
	if r.own != nil {
		text += " (etcd: " + r.own(0).Encode() + ")"
	}
	if r.accept != "" {
		text += " as " + r.accept
	}
	if r.body != nil {
		text += fmt.Sprintf(" of %.300s", encode(r.body))
	}
	return text
}

// answer is a status and what came with it.
type answer struct {
	code int
	body map[string]any
}

// send sends a request to one system.
func (s *system) send(ctx context.Context, i int, r request) (*http.Response, error) {
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(encode(r.body))
	}
	request, err := http.NewRequestWithContext(ctx, r.method, r.url(s.plane.URL, i), body)
	if err != nil {
		return nil, err
	}
	if r.accept != "" {
		request.Header.Set("Accept", r.accept)
	}
	if r.body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if r.contentType != "" {
		request.Header.Set("Content-Type", r.contentType)
	}
	return s.client.Do(request)
}

// ask sends a request to all systems and returns their answers.
func (all systems) ask(t *testing.T, r request) []answer {
	t.Helper()
	answers, errs := make([]answer, len(all)), make([]error, len(all))
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	all.each(func(i int, s *system) {
		response, err := s.send(ctx, i, r)
		if err != nil {
			errs[i] = err
			return
		}
		defer response.Body.Close()
		answers[i].code = response.StatusCode
		text, err := io.ReadAll(response.Body)
		answers[i].body, errs[i] = parsed(text), err
	})
	for i, err := range errs {
		if err != nil {
			t.Fatalf("%s: %v: %v", all[i].name, r, err)
		}
	}
	return answers
}

// until asks until all systems answer as wanted.
func (r *run) until(wanted request, condition func(answer) bool) {
	r.Helper()
	r.eventually(wanted.String(), func() bool {
		return !slices.ContainsFunc(r.ask(r.T, wanted), func(a answer) bool { return !condition(a) })
	})
}

// eventually returns when the condition holds.
func (r *run) eventually(what string, condition func() bool) {
	r.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-deadline.C:
			r.Fatalf("%s: not within %s", what, within)
		case <-ticker.C:
		}
	}
}

// store returns a client of the store, with the rights of the API server.
func (s *system) store(t *testing.T) *clientv3.Client {
	t.Helper()
	config, err := s.plane.StoreConfig()
	if err != nil {
		t.Fatal(err)
	}
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{s.plane.StoreURL}, TLS: config, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func encode(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

// parsed is the object of a text; what is none, as some errors are, becomes the member of one.
func parsed(text []byte) map[string]any {
	body, err := decode(json.NewDecoder(bytes.NewReader(text)))
	if err != nil {
		return map[string]any{"text": string(text)}
	}
	return body
}

// decode keeps numbers as they are written.
func decode(decoder *json.Decoder) (map[string]any, error) {
	decoder.UseNumber()
	var body map[string]any
	err := decoder.Decode(&body)
	return body, err
}
