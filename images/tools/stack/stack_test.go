package stack

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"harikube.io/conformance/postgres"
	"harikube.io/images/tools/container"
)

// theSecret is the one that a user makes for PostgreSQL.
const theSecret = "harikube-database"

func TestSQLite(t *testing.T) {
	for _, flavour := range []string{"", "-api"} {
		t.Run("workload"+flavour, func(t *testing.T) {
			s := newStack(t, "vcluster-harikube-sqlite"+flavour)
			s.serves()
			database := filepath.Join(s.claims["database"], "state.db")
			aside := t.TempDir()
			move := func(from, to string) {
				files, err := filepath.Glob(filepath.Join(from, "state.db*"))
				check(t, err)
				if len(files) == 0 {
					t.Fatalf("there is no database in %s", from)
				}
				for _, file := range files {
					check(t, os.Rename(file, filepath.Join(to, filepath.Base(file))))
				}
			}
			move(s.claims["database"], aside)
			s.refuses("There is no store at sqlite:///data/state.db, but by /data/owner the store used last is at sqlite:///data/state.db")
			if _, err := os.Stat(database); !os.IsNotExist(err) {
				t.Errorf("the server that refused has left a database behind: %v", err)
			}
			move(aside, s.claims["database"])
			s.hasEverything()
		})
	}
}

func TestPostgres(t *testing.T) {
	for _, flavour := range []string{"", "-api"} {
		t.Run("workload"+flavour, func(t *testing.T) {
			s := newStack(t, "vcluster-harikube-postgres"+flavour)
			const password = "p@ss/word%"
			cluster := postgres.NewCluster(t, bin, t.TempDir())
			cluster.Execute(t, "CREATE ROLE harikube LOGIN PASSWORD '"+password+"'",
				"CREATE DATABASE harikube OWNER harikube", "CREATE DATABASE other OWNER harikube")
			// As the one of postgres-release-….yaml: nobody gets in without the password.
			cluster.Write(t, "pg_hba.conf", "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
			cluster.Execute(t, "SELECT pg_reload_conf()")
			at := func(database string) string { return "postgres://harikube@" + cluster.Address() + "/" + database }
			secret := map[string]string{"endpoint": at("harikube"), "password": password}
			s.manifest.secrets[theSecret] = secret
			s.serves()
			secret["endpoint"] = at("other")
			said := func(database string) string { return "postgresql://" + cluster.Address() + "/" + database }
			s.refuses("There is no store at "+said("other"), "by /data/owner the store used last is at "+said("harikube"))
			secret["endpoint"] = at("harikube")
			s.hasEverything()
		})
	}
}

// stack is what is applied to a host, and what outlives a pod there.
type stack struct {
	t        *testing.T
	manifest *manifest
	claims   map[string]string
	keys     keys
	uid      string // of the object that was made
	replicas int
}

func newStack(t *testing.T, name string) *stack {
	t.Helper()
	if !container.Possible() {
		t.Skip("NOT TESTED that the manifests are a whole that runs: namespaces and a root of their own take root's rights")
	}
	archives, err := filepath.Glob(filepath.Join(images, "*.tar"))
	check(t, err)
	if len(archives) == 0 {
		t.Skipf("NOT TESTED that the manifests are a whole that runs: no images in %s (make test-stack)", images)
	}
	s := &stack{t: t, manifest: readManifest(t, name+"-release-"+version+".yaml"), claims: map[string]string{}, keys: newKeys(t)}
	for _, claim := range s.manifest.set.Spec.VolumeClaimTemplates {
		s.claims[claim.Name] = t.TempDir()
		// As a local volume is when it is new.
		check(t, os.Chmod(s.claims[claim.Name], 0o755))
	}
	return s
}

// start makes a pod of which all answers.
func (s *stack) start() *pod {
	s.t.Helper()
	begin := time.Now()
	p := newPod(s.t, s.manifest, s.claims)
	p.initialize()
	harikube := p.container("harikube")
	p.startContainer(harikube)
	p.probe(harikube, "startup", harikube.StartupProbe)
	p.probe(harikube, "readiness", harikube.ReadinessProbe)
	p.probe(harikube, "liveness", harikube.LivenessProbe)
	store := time.Since(begin)
	p.startKubernetes(s.keys)
	s.t.Logf("the store is ready after %.1f s, the API server after %.1f s", store.Seconds(), time.Since(begin).Seconds())
	return p
}

// serves: kubectl can make things, and they outlive the pod.
func (s *stack) serves() {
	s.t.Helper()
	p := s.start()
	p.mustKubectl("create", "namespace", "shop")
	p.mustKubectl("--namespace=shop", "create", "configmap", "prices", "--from-literal=tea=3")
	s.uid = p.mustKubectl("--namespace=shop", "get", "configmap", "prices", "--output=jsonpath={.metadata.uid}")
	// The controller manager's work.
	p.mustKubectl("--namespace=shop", "wait", "--for=create", "--timeout=5m", "serviceaccount/default")
	p.mustKubectl("--namespace=shop", "create", "deployment", "till", "--image=till:1", "--replicas=1")
	s.replicas = 1
	s.controls(p)

	metrics := p.mustKubectl("get", "--raw", "/metrics")
	for _, metric := range []string{"apiserver_storage_", "etcd_request_duration_seconds_count"} {
		if !strings.Contains(metrics, metric) {
			s.t.Errorf("the API server's metrics have no %s", metric)
		}
	}
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "apiserver_watch_cache_") || strings.HasPrefix(line, "apiserver_cache_list_") {
			s.t.Errorf("the API server has a watch cache: %s", line)
		}
	}
	p.stop()
	s.hasEverything()
}

// hasEverything starts a pod and looks for what was made.
func (s *stack) hasEverything() {
	s.t.Helper()
	p := s.start()
	if uid := p.mustKubectl("--namespace=shop", "get", "configmap", "prices", "--output=jsonpath={.metadata.uid}"); uid != s.uid {
		s.t.Errorf("the object has the uid %s, not %s", uid, s.uid)
	}
	s.controls(p)
	p.stop()
}

// controls: the controller manager does what is asked of it. After a restart it waits for the lease of the one before.
func (s *stack) controls(p *pod) {
	s.t.Helper()
	s.replicas++
	count := strconv.Itoa(s.replicas)
	p.mustKubectl("--namespace=shop", "scale", "deployment/till", "--replicas="+count)
	p.mustKubectl("--namespace=shop", "wait", "--for=jsonpath={.status.unavailableReplicas}="+count, "--timeout=5m", "deployment/till")
}

// refuses: the server does not start on what is there now, and says why.
func (s *stack) refuses(sentences ...string) {
	s.t.Helper()
	p := newPod(s.t, s.manifest, s.claims)
	p.initialize()
	server := p.startContainer(p.container("harikube"))
	server.ended(5 * time.Minute)
	if server.command.ProcessState.ExitCode() <= 0 {
		s.t.Errorf("the server ended with %v", server.command.ProcessState)
	}
	for _, sentence := range sentences {
		if !strings.Contains(server.log.String(), sentence) {
			s.t.Errorf("the log does not say %q:\n%s", sentence, server.log.String())
		}
	}
	p.remove()
}
