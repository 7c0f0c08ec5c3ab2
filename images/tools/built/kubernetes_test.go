package built

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestKubernetesProgramsStart(t *testing.T) {
	description := configOf(t, opened(t, kubernetesArchive(host))).Config.Labels["org.opencontainers.image.description"]
	for _, program := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"} {
		got := strings.TrimSpace(output(t, inContainer(t, kubernetesArchive(host), []string{"-command", program}, "--version")))
		version, ok := strings.CutPrefix(got, "Kubernetes ")
		if !ok || !strings.HasPrefix(version, "v"+minor+".") || !strings.Contains(description, version) {
			t.Errorf("%s says %q; the image says %q", program, got, description)
		}
	}
}

// As vCluster's init container does it, and again while a program runs.
func TestCopyForVcluster(t *testing.T) {
	binaries := volume(t, 65534)
	options := []string{"-mount", binaries + ":/binaries", "-command", "cp"}
	copied := func() {
		t.Helper()
		output(t, inContainer(t, kubernetesArchive(host), options, "-r", "/kubernetes/.", "/binaries/"))
	}
	copied()
	// --help would end; this one reads its input for as long as there is some.
	program := filepath.Join(binaries, "kube-apiserver")
	running := exec.Command(program, "--v=10", "--etcd-servers=http://127.0.0.1:1")
	if err := running.Start(); err != nil {
		t.Fatal(err)
	}
	copied()
	_ = running.Process.Kill()
	_ = running.Wait()

	root := unpacked(t, kubernetesArchive(host))
	entries, err := os.ReadDir(binaries)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 4 {
		t.Errorf("%d files were copied", len(entries))
	}
	for _, entry := range entries {
		if sum(t, filepath.Join(binaries, entry.Name())) != sum(t, filepath.Join(root, "kubernetes", entry.Name())) {
			t.Errorf("%s is not what the image has", entry.Name())
		}
		if info, err := entry.Info(); err != nil || info.Mode() != 0o755 {
			t.Errorf("%s has the mode %v (%v)", entry.Name(), info.Mode(), err)
		}
	}
}

func TestCertificates(t *testing.T) {
	server, client := volume(t, 65534), volume(t, 65534)
	options := []string{"-mount", server + ":/server", "-mount", client + ":/client", "-command", "certificates"}
	output(t, inContainer(t, kubernetesArchive(host), options, "/server", "/client"))

	authority, err := os.ReadFile(filepath.Join(client, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		t.Fatal("ca.crt has no certificate")
	}
	pair := func(folder string) tls.Certificate {
		pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key"))
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair(server)},
		ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				_, _ = connection.Write([]byte("hello"))
			}()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for name, with := range map[string]struct {
		certificates []tls.Certificate
		works        bool
	}{
		"the client's": {[]tls.Certificate{pair(client)}, true},
		"the server's": {[]tls.Certificate{pair(server)}, false},
		"none":         {nil, false},
	} {
		for _, host := range []string{"127.0.0.1", "localhost"} {
			connection, err := tls.Dial("tcp", net.JoinHostPort(host, port), &tls.Config{RootCAs: roots, Certificates: with.certificates})
			if err == nil {
				// Only a read says what the server makes of a client.
				_, err = connection.Read(make([]byte, 5))
				connection.Close()
			}
			if (err == nil) != with.works {
				t.Errorf("to %s with %s: %v", host, name, err)
			}
		}
	}

	// Again in the same pod: what a side has read stays true.
	before := sum(t, filepath.Join(server, "tls.crt")) + sum(t, filepath.Join(client, "tls.key"))
	output(t, inContainer(t, kubernetesArchive(host), options, "/server", "/client"))
	if before != sum(t, filepath.Join(server, "tls.crt"))+sum(t, filepath.Join(client, "tls.key")) {
		t.Error("the second run has replaced what was there")
	}
	// Half of it is nothing.
	if err := os.Remove(filepath.Join(client, "tls.key")); err != nil {
		t.Fatal(err)
	}
	output(t, inContainer(t, kubernetesArchive(host), options, "/server", "/client"))
	pair(client)
}
