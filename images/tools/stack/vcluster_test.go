package stack

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"sigs.k8s.io/yaml"
)

const (
	// What is done here in its stead is what the sources of this version do.
	vclusterVersion   = "0.36.1"
	apiServer         = "https://127.0.0.1:6443"
	controllerManager = "https://127.0.0.1:10257"
)

// program is what vCluster's configuration says of one of Kubernetes' programs.
type program struct {
	Enabled   bool
	Command   []string
	ExtraArgs []string
}

// configuration is the part of vCluster's that is about Kubernetes and its store.
type configuration struct {
	ControlPlane struct {
		Distro struct {
			K8S struct {
				Enabled           bool
				APIServer         program
				ControllerManager program
				Scheduler         program
			}
		}
		BackingStore struct {
			Etcd struct {
				External struct {
					Enabled  bool
					Endpoint string
					TLS      struct{ CaFile, CertFile, KeyFile string }
				}
			}
		}
	}
}

func (p *pod) vcluster() configuration {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.volumes["vcluster-config"], "config.yaml"))
	check(p.t, err)
	var c configuration
	check(p.t, yaml.Unmarshal(text, &c))
	kubernetes := c.ControlPlane.Distro.K8S
	if !kubernetes.Enabled || !kubernetes.APIServer.Enabled || !kubernetes.ControllerManager.Enabled || kubernetes.Scheduler.Enabled ||
		!c.ControlPlane.BackingStore.Etcd.External.Enabled || len(kubernetes.APIServer.Command)+len(kubernetes.ControllerManager.Command) > 0 {
		p.t.Fatalf("vCluster would start something else than this test: %+v", c)
	}
	return c
}

// apiServerFlags are those that vCluster v0.36.1 passes with an external etcd (StartK8S in its pkg/k8s), in its order.
func (c configuration) apiServerFlags() []string {
	store := c.ControlPlane.BackingStore.Etcd.External
	return merged([]string{
		"--service-cluster-ip-range=10.96.0.0/16",
		"--bind-address=127.0.0.1",
		"--allow-privileged=true",
		"--authorization-mode=Node,RBAC",
		"--client-ca-file=/data/pki/client-ca.crt",
		"--enable-bootstrap-token-auth=true",
		"--etcd-servers=https://" + strings.TrimPrefix(store.Endpoint, "https://"),
		"--etcd-cafile=" + store.TLS.CaFile,
		"--etcd-certfile=" + store.TLS.CertFile,
		"--etcd-keyfile=" + store.TLS.KeyFile,
		"--proxy-client-cert-file=/data/pki/front-proxy-client.crt",
		"--proxy-client-key-file=/data/pki/front-proxy-client.key",
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-client-ca-file=/data/pki/front-proxy-ca.crt",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--secure-port=6443",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=/data/pki/sa.pub",
		"--service-account-signing-key-file=/data/pki/sa.key",
		"--tls-cert-file=/data/pki/apiserver.crt",
		"--tls-private-key-file=/data/pki/apiserver.key",
		"--profiling=false",
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none",
	}, c.ControlPlane.Distro.K8S.APIServer.ExtraArgs)
}

func (c configuration) controllerManagerFlags() []string {
	return merged([]string{
		"--service-cluster-ip-range=10.96.0.0/16",
		"--authentication-kubeconfig=/data/pki/controller-manager.conf",
		"--authorization-kubeconfig=/data/pki/controller-manager.conf",
		"--bind-address=127.0.0.1",
		"--client-ca-file=/data/pki/client-ca.crt",
		"--cluster-name=kubernetes",
		"--kubeconfig=/data/pki/controller-manager.conf",
		"--requestheader-client-ca-file=/data/pki/front-proxy-ca.crt",
		"--root-ca-file=/data/pki/server-ca.crt",
		"--service-account-private-key-file=/data/pki/sa.key",
		"--use-service-account-credentials=true",
		"--leader-elect=true",
		"--cluster-signing-cert-file=/data/pki/server-ca.crt",
		"--cluster-signing-key-file=/data/pki/server-ca.key",
		"--controllers=*,-nodeipam,-nodelifecycle,-persistentvolume-binder,-attachdetach,-persistentvolume-expander," +
			"-cloud-node-lifecycle,-ttl",
		"--node-monitor-grace-period=180s",
		"--node-monitor-period=30s",
		"--pvclaimbinder-sync-period=60s",
		"--horizontal-pod-autoscaler-sync-period=60s",
	}, c.ControlPlane.Distro.K8S.ControllerManager.ExtraArgs)
}

// merged: an extra flag takes the place of one of the same name.
func merged(flags, extra []string) []string {
	all := []string{}
	for _, flag := range flags {
		name, _, _ := strings.Cut(flag, "=")
		replaced := false
		for _, other := range extra {
			otherName, _, _ := strings.Cut(other, "=")
			replaced = replaced || name == otherName
		}
		if !replaced {
			all = append(all, flag)
		}
	}
	return append(all, extra...)
}

// startKubernetes does what vCluster would do in its container: waits for the store, then starts the API server, then the
// controller manager.
func (p *pod) startKubernetes(keys keys) {
	p.t.Helper()
	syncer := p.container("syncer")
	if !strings.HasSuffix(syncer.Image, ":"+vclusterVersion) {
		p.t.Fatalf("the image is %s; compare what is done here with that version, above all StartK8S in its pkg/k8s", syncer.Image)
	}
	pki := filepath.Join(p.volumes["data"], "pki")
	check(p.t, os.Mkdir(pki, 0o700))
	for name, text := range keys.files {
		check(p.t, os.WriteFile(filepath.Join(pki, name), []byte(text), 0o600))
		check(p.t, os.Chown(filepath.Join(pki, name), 65532, 65532))
	}
	check(p.t, os.Chown(pki, 65532, 65532))

	c := p.vcluster()
	p.waitForStore(c)
	root := filepath.Join(p.folder, "vcluster-root")
	check(p.t, os.MkdirAll(root, 0o755))
	run := func(name string, flags []string, ready string) {
		p.t.Helper()
		// vCluster's image is not looked into: an empty root is the least that it can give to its programs.
		spec := p.spec(syncer, root, v1.Config{WorkingDir: "/data"})
		spec.Command, spec.Arguments = []string{"/binaries/" + name}, flags
		spec.Env = append(spec.Env, "_VCLUSTER_MANAGED=yes",
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/binaries:/usr/local/bin")
		process := start(p.t, name, spec)
		p.running[syncer.Name] = append(p.running[syncer.Name], process)
		within(p.t, 5*time.Minute, func() string { return ready + " is good; the log:\n" + lastLines(process.log.String(), 30) }, func() bool {
			if !process.running() {
				p.t.Fatalf("%s has ended, and vCluster would with it:\n%s", name, lastLines(process.log.String(), 30))
			}
			response, err := keys.administrator.Get(ready)
			if err != nil {
				return false
			}
			response.Body.Close()
			return response.StatusCode == http.StatusOK
		})
	}
	run("kube-apiserver", c.apiServerFlags(), apiServer+"/readyz")
	run("kube-controller-manager", c.controllerManagerFlags(), controllerManager+"/healthz")
}

// waitForStore asks for the members of the store with the API server's certificates, as vCluster does.
func (p *pod) waitForStore(c configuration) {
	p.t.Helper()
	store := c.ControlPlane.BackingStore.Etcd.External
	// Where a path of the syncer's container is on this machine.
	outside := func(path string) string {
		for _, mount := range p.container("syncer").VolumeMounts {
			if rest, ok := strings.CutPrefix(path, mount.MountPath+"/"); ok {
				return filepath.Join(p.volumes[mount.Name], rest)
			}
		}
		p.t.Fatalf("nothing is mounted at %s", path)
		return ""
	}
	ask := func(more ...string) ([]byte, error) {
		flags := []string{"--endpoints=https://" + store.Endpoint, "--cacert=" + outside(store.TLS.CaFile), "--command-timeout=3s",
			"member", "list"}
		return exec.Command(filepath.Join(bin, "etcdctl"), append(flags, more...)...).CombinedOutput()
	}
	var last []byte
	within(p.t, time.Minute, func() string { return "the store names its members: " + string(last) }, func() bool {
		var err error
		last, err = ask("--cert="+outside(store.TLS.CertFile), "--key="+outside(store.TLS.KeyFile))
		return err == nil
	})
	if answer, err := ask(); err == nil {
		p.t.Errorf("the store answers to somebody without a certificate: %s", answer)
	}
}

// kubectl asks the API server as its administrator.
func (p *pod) kubectl(arguments ...string) (string, error) {
	command := exec.Command(filepath.Join(bin, "kubectl"), arguments...)
	command.Env = []string{"KUBECONFIG=" + filepath.Join(p.volumes["data"], "pki", "admin.conf"), "HOME=" + p.folder}
	output, err := command.CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

func (p *pod) mustKubectl(arguments ...string) string {
	p.t.Helper()
	output, err := p.kubectl(arguments...)
	if err != nil {
		p.t.Fatalf("kubectl %v: %v\n%s", arguments, err, output)
	}
	return output
}

// keys are the files of /data/pki, as kubeadm makes them for vCluster, which keeps them in a Secret of the host, so that they
// outlive a pod.
type keys struct {
	files map[string]string
	// administrator does not look at certificates: the controller manager has one of its own making.
	administrator *http.Client
}

func newKeys(t *testing.T) keys {
	t.Helper()
	files := map[string]string{}
	authority := newAuthority(t, "kubernetes")
	frontProxy := newAuthority(t, "front-proxy")
	files["server-ca.crt"], files["server-ca.key"] = authority.certificate, authority.key
	files["client-ca.crt"], files["client-ca.key"] = authority.certificate, authority.key
	files["front-proxy-ca.crt"] = frontProxy.certificate
	pair := func(name string, from keyPair, subject pkix.Name) keyPair {
		made := from.sign(t, subject)
		files[name+".crt"], files[name+".key"] = made.certificate, made.key
		return made
	}
	pair("front-proxy-client", frontProxy, pkix.Name{CommonName: "front-proxy-client"})
	pair("apiserver", authority, pkix.Name{CommonName: "kube-apiserver"})
	accounts := authority.sign(t, pkix.Name{CommonName: "service accounts"})
	public, err := x509.MarshalPKIXPublicKey(accounts.private.Public())
	check(t, err)
	files["sa.key"] = accounts.key
	files["sa.pub"] = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	for name, subject := range map[string]pkix.Name{
		"admin.conf":              theAdministrator,
		"controller-manager.conf": {CommonName: "system:kube-controller-manager"},
	} {
		user := authority.sign(t, subject)
		encoded := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
		files[name] = fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: u, user: {client-certificate-data: %s, client-key-data: %s}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, apiServer, encoded(authority.certificate), encoded(user.certificate), encoded(user.key))
	}
	administrator := authority.sign(t, theAdministrator)
	pairOf, err := tls.X509KeyPair([]byte(administrator.certificate), []byte(administrator.key))
	check(t, err)
	return keys{files, &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pairOf}}, DisableKeepAlives: true,
	}}}
}

var theAdministrator = pkix.Name{CommonName: "kubernetes-super-admin", Organization: []string{"system:masters"}}

type keyPair struct {
	certificate, key string
	parsed           *x509.Certificate
	private          *rsa.PrivateKey
}

func newAuthority(t *testing.T, name string) keyPair {
	t.Helper()
	return keyPair{}.make(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	})
}

func (k keyPair) sign(t *testing.T, subject pkix.Name) keyPair {
	t.Helper()
	return k.make(t, &x509.Certificate{
		Subject: subject, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes.default.svc"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	})
}

// make signs a template, by itself if there is nobody else.
func (k keyPair) make(t *testing.T, template *x509.Certificate) keyPair {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	check(t, err)
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	check(t, err)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent, signer := k.parsed, k.private
	if parent == nil {
		parent, signer = template, private
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, private.Public(), signer)
	check(t, err)
	parsed, err := x509.ParseCertificate(der)
	check(t, err)
	return keyPair{
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})),
		parsed, private,
	}
}
