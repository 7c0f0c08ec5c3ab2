package built

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is one that runs as the image says, with volumes of its own.
type server struct {
	t               *testing.T
	data, tmp       string
	listen, metrics string
	command         *exec.Cmd
	log             lines
}

// lines are what a process writes.
type lines struct {
	lock sync.Mutex
	text strings.Builder
}

func (l *lines) Write(text []byte) (int, error) {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.Write(text)
}

func (l *lines) String() string {
	l.lock.Lock()
	defer l.lock.Unlock()
	return l.text.String()
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, data: volume(t, 65532), tmp: volume(t, 65532), listen: freeAddress(t), metrics: freeAddress(t)}
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Log(s.log.String())
		}
	})
	return s
}

// volume is a folder that belongs to a user, as a node makes it for a pod.
func volume(t *testing.T, uid int) string {
	t.Helper()
	needContainers(t)
	folder := t.TempDir()
	// Each folder on the way is for root alone.
	for at := folder; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(folder, uid, uid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	return folder
}

func (s *server) mounts() []string {
	return []string{"-mount", s.data + ":/data", "-mount", s.tmp + ":/tmp"}
}

// start answers how long it took until the server was ready.
func (s *server) start(options ...string) time.Duration {
	s.t.Helper()
	s.command = inContainer(s.t, serverArchive(host), append(s.mounts(), options...),
		"server", "--endpoint=sqlite:///data/state.db", "--listen-address="+s.listen, "--metrics-bind-address="+s.metrics)
	s.log = lines{}
	s.command.Stdout, s.command.Stderr = &s.log, &s.log
	begin := time.Now()
	if err := s.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	within(s.t, 3*time.Minute, "the server is ready", func() bool {
		response, err := http.Get("http://" + s.metrics + "/readyz")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	return time.Since(begin)
}

func (s *server) kill() {
	if s.command != nil && s.command.Process != nil {
		_ = s.command.Process.Kill()
		_ = s.command.Wait()
		s.command = nil
	}
}

func (s *server) proc(file string) string {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.command.Process.Pid, file))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

func (s *server) etcdctl(arguments ...string) string {
	s.t.Helper()
	command := exec.Command(filepath.Join(bin, "etcdctl"), append([]string{"--endpoints=" + s.listen}, arguments...)...)
	return output(s.t, command)
}

func TestHelp(t *testing.T) {
	help := output(t, inContainer(t, serverArchive(host), nil, "--help"))
	for _, word := range []string{"Usage: harikube", "server", "restore", "version"} {
		if !strings.Contains(help, word) {
			t.Errorf("the help does not say %q:\n%s", word, help)
		}
	}
}

func TestVersionIsThatOfTheImage(t *testing.T) {
	got := output(t, inContainer(t, serverArchive(host), nil, "version"))
	label := configOf(t, opened(t, serverArchive(host))).Config.Labels["org.opencontainers.image.version"]
	if !strings.HasPrefix(got, "harikube "+strings.TrimPrefix(label, "v")+" ") {
		t.Errorf("an image of version %s has a server that says %q", label, got)
	}
}

func TestTheServerRunsAsTheImageSays(t *testing.T) {
	s := newServer(t)
	t.Logf("ready after %v", s.start())

	status := s.proc("status")
	for _, line := range []string{`Uid:\t65532\t65532\t65532\t65532`, `Gid:\t65532\t65532\t65532\t65532`,
		`CapEff:\t0+`, `CapPrm:\t0+`, `NoNewPrivs:\t1`} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(status) {
			t.Errorf("the status of the process has no line %q:\n%s", line, status)
		}
	}
	if !regexp.MustCompile(`(?m)^\S+ \S+ \S+ \S+ / ro,`).MatchString(s.proc("mountinfo")) {
		t.Errorf("its root is not read-only:\n%s", s.proc("mountinfo"))
	}
	if log := s.log.String(); strings.Contains(log, "WARN") && !strings.Contains(log, "who reaches it") || strings.Contains(log, "ERROR") {
		t.Errorf("it warns:\n%s", log)
	}

	s.etcdctl("put", "greeting", "hello")
	s.kill()
	t.Logf("ready after kill -9: %v", s.start())
	if got := s.etcdctl("get", "greeting", "--print-value-only"); got != "hello\n" {
		t.Errorf("after kill -9 the value is %q", got)
	}

	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := s.command.Wait(); err != nil {
		t.Errorf("after SIGTERM it ends with %v:\n%s", err, s.log.String())
	}
	s.command = nil
	if left, err := os.ReadDir(s.tmp); err != nil || len(left) > 0 {
		t.Errorf("it leaves %v in /tmp (%v)", left, err)
	}
}

func TestAReadOnlyRootIsNoHindranceToJcmd(t *testing.T) {
	s := newServer(t)
	s.start()
	flags := output(t, inContainer(t, serverArchive(host), append(s.mounts(), "-command", "/java/bin/jcmd",
		"-command", strconv.Itoa(s.command.Process.Pid)), "VM.flags"))
	for _, flag := range []string{"-XX:+UseG1GC", "-XX:MaxRAMPercentage=50", "-XX:+UseCompactObjectHeaders"} {
		if !strings.Contains(flags, flag) {
			t.Errorf("the JVM's flags have no %s:\n%s", flag, flags)
		}
	}
}

// What a user gives in JDK_JAVA_OPTIONS counts as far as the entry point does not say otherwise.
func TestAHeapOfTheUsers(t *testing.T) {
	s := newServer(t)
	s.start("-env", "JDK_JAVA_OPTIONS=-Xmx200m")
	flags := output(t, inContainer(t, serverArchive(host), append(s.mounts(), "-command", "/java/bin/jcmd",
		"-command", strconv.Itoa(s.command.Process.Pid)), "VM.flags"))
	if !strings.Contains(flags, "-XX:MaxHeapSize=209715200 ") {
		t.Errorf("the heap is not 200 MiB:\n%s", flags)
	}
}

// Without an archive of classes a start takes twice the time. Wall clock says little on a busy machine, the CPU's does.
func TestTheArchiveOfClassesMakesTheStartQuick(t *testing.T) {
	begin := func(options ...string) (wall, cpu time.Duration) {
		s := newServer(t)
		wall = s.start(options...)
		fields := strings.Fields(s.proc("stat")[strings.LastIndex(s.proc("stat"), ")")+1:])
		for _, field := range fields[11:13] {
			ticks, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			cpu += time.Duration(ticks) * time.Second / 100
		}
		s.kill()
		return wall, cpu
	}
	// The least of some: what a start compiles depends on what else the machine does.
	wall, cpu := begin()
	without, cpuWithout := begin("-env", "JDK_JAVA_OPTIONS=-Xshare:off")
	for range 2 {
		again, cpuAgain := begin()
		wall, cpu = min(wall, again), min(cpu, cpuAgain)
		again, cpuAgain = begin("-env", "JDK_JAVA_OPTIONS=-Xshare:off")
		without, cpuWithout = min(without, again), min(cpuWithout, cpuAgain)
	}
	t.Logf("ready after %v (CPU %v) with the archive, %v (CPU %v) without", wall, cpu, without, cpuWithout)
	if cpu > cpuWithout*3/4 {
		t.Errorf("a start costs %v of CPU, and %v without the archive of classes", cpu, cpuWithout)
	}
}

// The list of classes is a file in the repository: this says when it has become old.
func TestTheArchiveHasTheClassesOfAStart(t *testing.T) {
	s := newServer(t)
	s.start("-env", "JDK_JAVA_OPTIONS=-Xlog:class+load:file=/tmp/classes.log")
	s.kill()
	file, err := os.Open(filepath.Join(s.tmp, "classes.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	archived, others := 0, []string{}
	for line := bufio.NewScanner(file); line.Scan(); {
		switch {
		case strings.Contains(line.Text(), "source: shared objects file"):
			archived++
		case strings.Contains(line.Text(), "source: jar") || strings.Contains(line.Text(), "source: file:") ||
			strings.Contains(line.Text(), "source: jrt:"):
			others = append(others, line.Text())
		}
	}
	t.Logf("%d classes are from the archive, %d are not", archived, len(others))
	if archived < 3000 || len(others) > archived/20 {
		t.Errorf("%d classes of a start are from the archive, and %d are not: `make image-classes` writes the list anew\n%s",
			archived, len(others), strings.Join(others[:min(len(others), 50)], "\n"))
	}
}
