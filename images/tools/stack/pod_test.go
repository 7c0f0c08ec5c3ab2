package stack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"harikube.io/images/tools/container"
)

// pod is one of a StatefulSet. A second one on the same claims is what comes after a restart.
type pod struct {
	t        *testing.T
	manifest *manifest
	template corev1.PodTemplateSpec
	folder   string
	volumes  map[string]string // a folder for each name
	running  map[string][]*process
}

// newPod makes the volumes. Claims has a folder for each claim; they outlive the pod.
func newPod(t *testing.T, m *manifest, claims map[string]string) *pod {
	t.Helper()
	p := &pod{t: t, manifest: m, template: m.set.Spec.Template, volumes: map[string]string{}, running: map[string][]*process{}}
	var err error
	if p.folder, err = os.MkdirTemp(t.TempDir(), "pod-*"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.remove)
	for _, volume := range p.template.Spec.Volumes {
		folder := filepath.Join(p.folder, volume.Name)
		p.volumes[volume.Name] = folder
		p.fill(volume, folder)
	}
	for _, claim := range m.set.Spec.VolumeClaimTemplates {
		p.volumes[claim.Name] = claims[claim.Name]
		p.giveToGroup(claims[claim.Name], 0o660)
	}
	return p
}

func (p *pod) fsGroup() int { return int(*p.template.Spec.SecurityContext.FSGroup) }

func (p *pod) fill(volume corev1.Volume, folder string) {
	p.t.Helper()
	check(p.t, os.Mkdir(folder, 0o777))
	check(p.t, os.Chmod(folder, 0o777))
	source := volume.VolumeSource
	switch {
	case source.EmptyDir != nil:
		if source.EmptyDir.Medium == corev1.StorageMediumMemory {
			options := "mode=0777,size=" + strconv.FormatInt(source.EmptyDir.SizeLimit.Value(), 10)
			check(p.t, syscall.Mount("tmpfs", folder, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, options))
		}
		p.giveToGroup(folder, 0o660)
	case source.Secret != nil:
		data, ok := p.manifest.secrets[source.Secret.SecretName]
		if !ok && (source.Secret.Optional == nil || !*source.Secret.Optional) {
			p.t.Fatalf("the volume %s needs a Secret %s that nobody has made", volume.Name, source.Secret.SecretName)
		}
		if len(source.Secret.Items) > 0 {
			p.t.Fatalf("the volume %s has items, which this test does not know", volume.Name)
		}
		p.write(folder, data, source.Secret.DefaultMode)
	case source.Projected != nil:
		// Nobody here asks the host's API server; what is in the files does not count.
		data := map[string]string{}
		for _, from := range source.Projected.Sources {
			switch {
			case from.ServiceAccountToken != nil:
				data[from.ServiceAccountToken.Path] = "token"
			case from.ConfigMap != nil:
				for _, item := range from.ConfigMap.Items {
					data[item.Path] = item.Key
				}
			case from.DownwardAPI != nil:
				for _, item := range from.DownwardAPI.Items {
					data[item.Path] = p.field(item.FieldRef.FieldPath)
				}
			default:
				p.t.Fatalf("the volume %s has a source that this test does not know", volume.Name)
			}
		}
		p.write(folder, data, source.Projected.DefaultMode)
	default:
		p.t.Fatalf("the volume %s is of a kind that this test does not know", volume.Name)
	}
}

// write writes files as a node does for a Secret: root's, and readable by the group.
func (p *pod) write(folder string, data map[string]string, mode *int32) {
	p.t.Helper()
	for name, text := range data {
		path := filepath.Join(folder, name)
		check(p.t, os.WriteFile(path, []byte(text), 0o400))
		bits := os.FileMode(0o644)
		if mode != nil {
			bits = os.FileMode(*mode)
		}
		check(p.t, os.Chown(path, 0, p.fsGroup()))
		check(p.t, os.Chmod(path, bits|0o440))
	}
	check(p.t, os.Chown(folder, 0, p.fsGroup()))
	check(p.t, os.Chmod(folder, 0o775|fs.ModeSetgid))
}

// giveToGroup is what a node does with fsGroup and OnRootMismatch: nothing, once the topmost folder is right.
func (p *pod) giveToGroup(folder string, bits fs.FileMode) {
	p.t.Helper()
	info, err := os.Stat(folder)
	check(p.t, err)
	owner := info.Sys().(*syscall.Stat_t)
	const right = fs.ModeSetgid | 0o770
	if int(owner.Gid) == p.fsGroup() && info.Mode()&right == right {
		return
	}
	check(p.t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode() | bits
		if entry.IsDir() {
			mode |= fs.ModeSetgid | 0o110
		}
		if err := os.Lchown(path, -1, p.fsGroup()); err != nil {
			return err
		}
		return os.Chmod(path, mode)
	}))
}

// field is what the downward API has for a pod.
func (p *pod) field(path string) string {
	p.t.Helper()
	switch path {
	case "metadata.name":
		return p.manifest.set.Name + "-0"
	case "metadata.namespace":
		return p.manifest.set.Namespace
	case "status.podIP", "status.hostIP":
		return "127.0.0.1"
	case "spec.nodeName":
		return "node"
	}
	p.t.Fatalf("the field %s is not known to this test", path)
	return ""
}

// spec is a container of the pod as a runtime would be told of it. The image is the folder of the unpacked one.
func (p *pod) spec(c corev1.Container, root string, config v1.Config) container.Spec {
	p.t.Helper()
	p.onlyKnown(c)
	outer, inner := p.template.Spec.SecurityContext, c.SecurityContext
	user, group := first(inner.RunAsUser, outer.RunAsUser), first(inner.RunAsGroup, outer.RunAsGroup)
	if user == nil || group == nil || *user == 0 {
		p.t.Fatalf("the container %s may be root", c.Name)
	}
	spec := container.Spec{
		Root: root, Config: config, Command: c.Command, Arguments: c.Args,
		User:   fmt.Sprintf("%d:%d", *user, *group),
		Groups: []int{p.fsGroup()},
	}
	for _, variable := range c.Env {
		value := variable.Value
		if variable.ValueFrom != nil {
			value = p.field(variable.ValueFrom.FieldRef.FieldPath)
		}
		spec.Env = append(spec.Env, variable.Name+"="+value)
	}
	for _, mount := range c.VolumeMounts {
		from, ok := p.volumes[mount.Name]
		if !ok {
			p.t.Fatalf("the container %s mounts a volume %s that is not there", c.Name, mount.Name)
		}
		spec.Mounts = append(spec.Mounts, container.Mount{From: from, To: mount.MountPath, ReadOnly: mount.ReadOnly})
	}
	return spec
}

// onlyKnown refuses what this test would not do and a node would.
func (p *pod) onlyKnown(c corev1.Container) {
	p.t.Helper()
	security := c.SecurityContext
	if security == nil || security.ReadOnlyRootFilesystem == nil || !*security.ReadOnlyRootFilesystem ||
		security.AllowPrivilegeEscalation == nil || *security.AllowPrivilegeEscalation ||
		security.Capabilities == nil || !reflect.DeepEqual(security.Capabilities.Drop, []corev1.Capability{"ALL"}) {
		p.t.Fatalf("the container %s is to have more rights than it gets here", c.Name)
	}
	for _, mount := range c.VolumeMounts {
		known := corev1.VolumeMount{Name: mount.Name, MountPath: mount.MountPath, ReadOnly: mount.ReadOnly}
		if !reflect.DeepEqual(mount, known) {
			p.t.Fatalf("the container %s has a mount that this test does not know: %v", c.Name, mount)
		}
	}
	rest := *c.DeepCopy()
	rest.Name, rest.Image, rest.ImagePullPolicy, rest.Command, rest.Args, rest.Env = "", "", "", nil, nil, nil
	rest.Ports, rest.Resources, rest.VolumeMounts, rest.SecurityContext = nil, corev1.ResourceRequirements{}, nil, nil
	rest.LivenessProbe, rest.ReadinessProbe, rest.StartupProbe, rest.Lifecycle = nil, nil, nil, nil
	if !reflect.DeepEqual(rest, corev1.Container{}) {
		p.t.Fatalf("the container %s has what this test does not know: %+v", c.Name, rest)
	}
}

func first(values ...*int64) *int64 {
	for _, value := range values {
		if value != nil {
			return value
		}
	}
	return nil
}

// initialize runs the init containers, each to its end.
func (p *pod) initialize() {
	p.t.Helper()
	for _, c := range p.template.Spec.InitContainers {
		process := p.startContainer(c)
		process.ended(5 * time.Minute)
		if code := process.command.ProcessState.ExitCode(); code != 0 {
			p.t.Fatalf("the init container %s ended with %d:\n%s", c.Name, code, process.log.String())
		}
	}
}

func (p *pod) container(name string) corev1.Container {
	p.t.Helper()
	for _, c := range p.template.Spec.Containers {
		if c.Name == name {
			return c
		}
	}
	p.t.Fatalf("the pod has no container %s", name)
	return corev1.Container{}
}

// startContainer runs a container of an image that we make.
func (p *pod) startContainer(c corev1.Container) *process {
	p.t.Helper()
	image := imageOf(p.t, c.Image)
	process := start(p.t, c.Name, p.spec(c, image.folder, image.config))
	p.running[c.Name] = append(p.running[c.Name], process)
	return process
}

// stop ends the pod as a node does: for each container its hook, then SIGTERM; what is left after the grace period would be
// killed, which is a failure here.
func (p *pod) stop() {
	p.t.Helper()
	grace := time.Duration(*p.template.Spec.TerminationGracePeriodSeconds) * time.Second
	begin := time.Now()
	for _, c := range p.template.Spec.Containers {
		hook := time.Duration(0)
		if c.Lifecycle != nil {
			hook = time.Duration(c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
		}
		end := syscall.SIGTERM
		if c.Name == "syncer" {
			// vCluster ends at once, and the programs that it has started are killed with the container.
			end = syscall.SIGKILL
		}
		for _, process := range p.running[c.Name] {
			time.AfterFunc(hook, func() { _ = process.command.Process.Signal(end) })
		}
	}
	for _, c := range p.template.Spec.Containers {
		for _, process := range p.running[c.Name] {
			process.ended(grace - time.Since(begin))
			state := process.command.ProcessState
			p.t.Logf("%s has ended after %.1f s: %v", process.name, time.Since(begin).Seconds(), state)
			if c.Name == "harikube" && !state.Success() {
				p.t.Errorf("the server has not stopped in order; its log:\n%s", lastLines(process.log.String(), 30))
			}
		}
	}
	p.remove()
}

// remove takes the pod away, whatever it does, and what lives as long as it.
func (p *pod) remove() {
	for _, processes := range p.running {
		for _, process := range processes {
			if p.t.Failed() {
				p.t.Logf("the last lines of %s:\n%s", process.name, lastLines(process.log.String(), 30))
			}
			_ = process.command.Process.Kill()
			<-process.done
		}
	}
	p.running = map[string][]*process{}
	for _, volume := range p.template.Spec.Volumes {
		if volume.EmptyDir != nil && volume.EmptyDir.Medium == corev1.StorageMediumMemory {
			_ = syscall.Unmount(p.volumes[volume.Name], 0)
		}
	}
	_ = os.RemoveAll(p.folder)
}

// process is one of a container.
type process struct {
	t       *testing.T
	name    string
	command *exec.Cmd
	log     lines
	done    chan struct{}
}

func start(t *testing.T, name string, spec container.Spec) *process {
	t.Helper()
	text, err := json.Marshal(spec)
	check(t, err)
	p := &process{t: t, name: name, command: exec.Command("/proc/self/exe"), done: make(chan struct{})}
	p.command.Env = []string{containerVariable + "=" + string(text)}
	p.command.Stdout, p.command.Stderr = &p.log, &p.log
	check(t, p.command.Start())
	go func() {
		_ = p.command.Wait()
		close(p.done)
	}()
	return p
}

// ended waits for the end.
func (p *process) ended(limit time.Duration) {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		if !p.running() {
			return
		}
		p.t.Fatalf("%s has not ended within %v; its log:\n%s", p.name, limit, p.log.String())
	}
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// lines are what a process writes.
type lines struct {
	lock sync.Mutex
	text bytes.Buffer
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

// probe asks as a node would, until there is a good answer or it would have given up.
func (p *pod) probe(c corev1.Container, kind string, probe *corev1.Probe) {
	p.t.Helper()
	if probe == nil || probe.HTTPGet == nil {
		p.t.Fatalf("the container %s has no %s probe over HTTP", c.Name, kind)
	}
	address := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(portOf(p.t, c, probe.HTTPGet.Port))) + probe.HTTPGet.Path
	client := http.Client{Timeout: time.Duration(max(probe.TimeoutSeconds, 1)) * time.Second}
	defer client.CloseIdleConnections()
	limit := time.Duration(probe.PeriodSeconds*probe.FailureThreshold) * time.Second
	process := p.running[c.Name][0]
	var last string
	for end := time.Now().Add(limit); ; {
		response, err := client.Get(address)
		if err == nil {
			response.Body.Close()
			if response.StatusCode >= 200 && response.StatusCode < 400 {
				return
			}
			last = response.Status
		} else {
			last = err.Error()
		}
		if time.Now().After(end) || !process.running() {
			p.t.Fatalf("the %s probe of %s at %s: %s; its log:\n%s", kind, c.Name, address, last, process.log.String())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func portOf(t *testing.T, c corev1.Container, port intstr.IntOrString) int {
	t.Helper()
	if port.Type == intstr.Int {
		return port.IntValue()
	}
	for _, named := range c.Ports {
		if named.Name == port.StrVal {
			return int(named.ContainerPort)
		}
	}
	t.Fatalf("the container %s has no port %s", c.Name, port.StrVal)
	return 0
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// within waits for something that a process will do.
func within(t *testing.T, limit time.Duration, what func() string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !done(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", limit, what())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func lastLines(text string, most int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-most):], "\n")
}
