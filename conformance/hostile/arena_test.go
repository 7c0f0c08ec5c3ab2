package hostile

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	mathbig "math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"harikube.io/conformance/postgres"
	"harikube.io/conformance/server"
	"harikube.io/controlplane"
)

const (
	// warmUp is how long a new server is used before it is attacked.
	warmUp = 5 * time.Second
	// calm is how long a look at a server at peace takes.
	calm = time.Second
	// overtime is what an attacker has to end by itself.
	overtime = 15 * time.Second
	// sockets that there may be more than before: of what is being closed.
	moreSockets = 8
	// mostCopies of the store may lie in the folder for temporary files: one is made, one is taken away.
	mostCopies = 2
)

// arena is a server, what it keeps, and the good client.
type arena struct {
	store    string
	folder   string
	endpoint string
	server   *server.Server
	client   *clientv3.Client
	http     *http.Client
	base     string // URL of the metrics port
	good     *good
	ctx      context.Context
	stop     context.CancelFunc
}

// newArena lives until it is closed, or the test ends.
func newArena(t *testing.T, store string, secure bool) *arena {
	t.Helper()
	a := &arena{store: store, folder: folder(t, store, secure), http: &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true},
	}}
	a.endpoint = (&url.URL{Scheme: "sqlite", Path: filepath.Join(a.folder, "harikube.db")}).String()
	if store == "postgres" {
		a.endpoint = postgres.Database(t, bin)
	}
	scheme := "http://"
	options := server.Options{Env: []string{"HARIKUBE_JAVA_OPTS=-Xmx" + heap + " -Djava.io.tmpdir=" + a.temporary()}}
	if secure {
		scheme = "https://"
		options.Args = certificate(t, a.folder)
	}
	a.server = server.HariKubeWith(t, bin, a.folder, a.endpoint, options)
	if secure {
		a.server.TLS = &tls.Config{InsecureSkipVerify: true}
		a.http.Transport.(*http.Transport).TLSClientConfig = a.server.TLS
	}
	a.base = scheme + a.server.Ops
	t.Cleanup(a.close)
	a.server.Start(t)
	a.client = a.server.Client(t)
	a.ctx, a.stop = context.WithCancel(context.Background())
	a.fill(t)
	var err error
	if a.good, err = newGood(a.ctx, a.client, a.http, a.base+"/livez"); err != nil {
		t.Fatal(err)
	}
	p := a.good.phase(a.ctx, true, false)
	<-time.After(warmUp)
	p.end()
	return a
}

func (a *arena) close() {
	if a.stop != nil {
		a.stop()
		a.client.Close()
		a.stop = nil
	}
	a.server.Stop()
}

func (a *arena) temporary() string { return filepath.Join(a.folder, "tmp") }

// fill puts what the attackers ask for.
func (a *arena) fill(t *testing.T) {
	t.Helper()
	value := make([]byte, bigValue)
	for i := range bigKeys {
		_, _ = rand.Read(value) // PostgreSQL would make little of anything else
		if _, err := a.client.Put(a.ctx, fmt.Sprintf("%s%03d", bigPrefix, i), string(value)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		var puts []clientv3.Op
		for k := range 100 {
			puts = append(puts, clientv3.OpPut(fmt.Sprintf("/small/%d/%d", i, k), "small"))
		}
		if _, err := a.client.Txn(a.ctx).Then(puts...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
}

// attack lets an attacker loose, and sees to it that the good client does not notice.
func (a *arena) attack(t *testing.T, kind attack, lasting time.Duration) {
	if _, err := exec.LookPath("sqlite3"); err != nil && kind.noPuts && a.store == "sqlite" {
		t.Skip("SKIPPED: there is no sqlite3 to hold the lock of the database")
	}
	before, err := a.state()
	if err != nil {
		t.Fatal(err)
	}
	logged := a.logged(t)

	use := a.measure()
	p := a.good.phase(a.ctx, !kind.noPuts, kind.bulk)
	came, err := a.unleash(kind, lasting)
	if err != nil {
		t.Errorf("the attacker: %v", err)
	}
	p.end()
	peak := use()
	t.Logf("%s: %s; %s", kind.name, p, peak)
	t.Logf("the attacker: %s", came)

	if came.Done < kind.least {
		t.Errorf("that was no attack: %d of %d", came.Done, kind.least)
	}
	if !a.server.Runs() {
		t.Fatalf("the server has ended: %s", a.lastWords())
	}
	p.check(t)
	if peak.resident > residentMost {
		t.Errorf("the server had %d MiB of memory, more than %d", peak.resident>>20, residentMost>>20)
	}
	if peak.copies > mostCopies {
		t.Errorf("there were %d snapshots at once", peak.copies)
	}
	if lines := a.logged(t) - logged; lines > 100<<10+lineMost*came.Done {
		t.Errorf("the log has %d KiB of it", lines>>10)
	}
	a.recover(t, before)
}

// recover waits until everything is as before.
func (a *arena) recover(t *testing.T, before state) {
	t.Helper()
	began := time.Now()
	for {
		p := a.good.phase(a.ctx, true, false)
		<-time.After(calm)
		p.end()
		now, err := a.state()
		if err == nil {
			err = errors.Join(p.calm(), now.as(before))
		}
		if err == nil {
			t.Logf("as before after %.1f s", time.Since(began).Seconds())
			return
		}
		if !a.server.Runs() {
			t.Fatalf("the server has ended: %s", a.lastWords())
		}
		if time.Since(began) > recoverWithin {
			t.Fatalf("%s after the attack: %v", recoverWithin, err)
		}
	}
}

// unleash has an attacker attack, and tells what it did.
func (a *arena) unleash(kind attack, lasting time.Duration) (deeds, error) {
	text, err := json.Marshal(order{kind.name, a.server.Address, a.server.Ops, a.endpoint, lasting})
	if err != nil {
		return deeds{}, err
	}
	ctx, cancel := context.WithTimeout(a.ctx, lasting+overtime)
	defer cancel()
	attacker := exec.CommandContext(ctx, "nice", "-n", "10", os.Args[0])
	attacker.Env = append(os.Environ(), attackVariable+"="+string(text))
	attacker.Stderr = os.Stderr
	out, err := attacker.Output()
	if err != nil {
		return deeds{}, err
	}
	var came deeds
	return came, json.Unmarshal(out, &came)
}

func (d deeds) String() string {
	list := func(counts map[string]int) string {
		var all []string
		for _, what := range slices.Sorted(maps.Keys(counts)) {
			all = append(all, fmt.Sprintf("%d × %s", counts[what], what))
		}
		return "[" + strings.Join(all, ", ") + "]"
	}
	return fmt.Sprintf("%d done, answers %s, errors %s", d.Done, list(d.Answers), list(d.Errors))
}

// use is the most of something while it was measured.
type use struct {
	resident int64 // bytes
	copies   int   // of the store
}

func (u use) String() string {
	return fmt.Sprintf("%d MiB resident, %d snapshots", u.resident>>20, u.copies)
}

// measure begins to; what it returns ends it.
func (a *arena) measure() func() use {
	stop, result := make(chan struct{}), make(chan use)
	go func() {
		var most use
		ticker := time.NewTicker(50 * time.Millisecond)
		defer ticker.Stop()
		for {
			most.resident = max(most.resident, resident(a.server.Pid()))
			copies, _ := filepath.Glob(filepath.Join(a.temporary(), "harikube-snapshot*"))
			most.copies = max(most.copies, len(copies))
			select {
			case <-stop:
				result <- most
				return
			case <-ticker.C:
			}
		}
	}()
	return func() use {
		close(stop)
		return <-result
	}
}

// resident is 0 for a process that has ended.
func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if fields := strings.Fields(string(text)); err == nil && len(fields) > 1 {
		pages, _ := strconv.ParseInt(fields[1], 10, 64)
		return pages * int64(os.Getpagesize())
	}
	return 0
}

// lastWords is the end of the log.
func (a *arena) lastWords() string {
	text, err := os.ReadFile(a.server.Log())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-500):])
}

// logged is how long the log is.
func (a *arena) logged(t *testing.T) int64 {
	t.Helper()
	info, err := os.Stat(a.server.Log())
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// state is what an attack may leave behind.
type state struct {
	metrics map[string]float64
	sockets int
	copies  int
}

// nothing is left of these; the others are as before.
var zero = []string{
	"harikube_answers_memory_used_bytes", "harikube_answers_waiting", "harikube_watch_pending_bytes",
	"etcd_server_proposals_pending", "etcd_debugging_mvcc_slow_watcher_total",
}

var same = []string{"etcd_debugging_mvcc_watch_stream_total", "etcd_debugging_mvcc_watcher_total"}

func (a *arena) state() (state, error) {
	s := state{metrics: map[string]float64{}}
	ctx, cancel := context.WithTimeout(a.ctx, callWithin)
	defer cancel()
	text, err := controlplane.Metrics(ctx, a.http, a.base)
	if err != nil {
		return s, err
	}
	for line := range strings.Lines(text) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), " "); found {
			s.metrics[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	for _, name := range slices.Concat(zero, same) {
		if _, found := s.metrics[name]; !found {
			return s, fmt.Errorf("/metrics has no %s", name)
		}
	}
	descriptors := fmt.Sprintf("/proc/%d/fd", a.server.Pid())
	entries, err := os.ReadDir(descriptors)
	if err != nil {
		return s, err
	}
	for _, entry := range entries {
		if target, _ := os.Readlink(filepath.Join(descriptors, entry.Name())); strings.HasPrefix(target, "socket:") {
			s.sockets++
		}
	}
	copies, err := filepath.Glob(filepath.Join(a.temporary(), "harikube-snapshot*"))
	s.copies = len(copies)
	return s, errors.Join(err, lines.Err())
}

// as says what is not as it was.
func (s state) as(before state) error {
	var wrong []error
	for _, name := range zero {
		if s.metrics[name] != 0 {
			wrong = append(wrong, fmt.Errorf("%s is %v", name, s.metrics[name]))
		}
	}
	for _, name := range same {
		if s.metrics[name] != before.metrics[name] {
			wrong = append(wrong, fmt.Errorf("%s is %v, not %v", name, s.metrics[name], before.metrics[name]))
		}
	}
	if s.sockets > before.sockets+moreSockets {
		wrong = append(wrong, fmt.Errorf("%d sockets are open, not %d", s.sockets, before.sockets))
	}
	if s.copies > 0 {
		wrong = append(wrong, fmt.Errorf("%d snapshots are left", s.copies))
	}
	return errors.Join(wrong...)
}

// certificate makes one for 127.0.0.1, and returns the options of a server that shows it.
func certificate(t *testing.T, folder string) []string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "hostile"}, SerialNumber: mathbig.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDer, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var options []string
	for option, block := range map[string]*pem.Block{
		"server-cert-file": {Type: "CERTIFICATE", Bytes: der}, "server-key-file": {Type: "PRIVATE KEY", Bytes: keyDer},
	} {
		file := filepath.Join(folder, option+".pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		options = append(options, "--"+option+"="+file)
	}
	return options
}
