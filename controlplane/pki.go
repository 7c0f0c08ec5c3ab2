package controlplane

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const (
	serviceRange     = "10.96.0.0/12"
	firstServiceIP   = "10.96.0.1" // of the service kubernetes.default
	certificateYears = 10
)

// pki is a folder of certificates and keys: an authority (ca), the servers' (store, apiserver), the
// clients' (store-client, admin, controller-manager) and the key that signs service-account tokens.
type pki struct {
	folder string
}

// openPKI makes what is missing in the folder and keeps what is there.
func openPKI(folder string) (pki, error) {
	p := pki{folder}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return p, err
	}
	ca, caKey, err := p.authority()
	if err != nil {
		return p, err
	}
	local := []net.IP{net.IPv4(127, 0, 0, 1)}
	for name, template := range map[string]x509.Certificate{
		"store": {
			Subject:     pkix.Name{CommonName: "store"},
			DNSNames:    []string{"localhost"},
			IPAddresses: local,
			// etcd's HTTP gateway is a client of etcd itself, with the server's certificate.
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		},
		"apiserver": {
			Subject: pkix.Name{CommonName: "kube-apiserver"},
			DNSNames: []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
				"kubernetes.default.svc.cluster.local"},
			IPAddresses: append(local, net.ParseIP(firstServiceIP)),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		},
		"store-client":       client("kube-apiserver"),
		"admin":              client("admin", "system:masters"),
		"controller-manager": client("system:kube-controller-manager"),
	} {
		if err := p.issue(name, template, ca, caKey); err != nil {
			return p, err
		}
	}
	return p, p.once("service-account", func() error {
		_, err := p.newKey("service-account")
		return err
	})
}

// client is the template of a client's certificate: Kubernetes takes the user's name from the common
// name and the groups from the organization.
func client(user string, groups ...string) x509.Certificate {
	return x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: groups},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

func (p pki) path(file string) string { return filepath.Join(p.folder, file) }

// authority returns the authority of the folder, made if missing.
func (p pki) authority() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	template := x509.Certificate{
		Subject:               pkix.Name{CommonName: "harikube-ca"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	if err := p.issue("ca", template, nil, nil); err != nil {
		return nil, nil, err
	}
	pair, err := tls.LoadX509KeyPair(p.path("ca.crt"), p.path("ca.key"))
	if err != nil {
		return nil, nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("%s is not a key of ours", p.path("ca.key"))
	}
	return pair.Leaf, key, nil
}

// issue writes a certificate and its key, signed by the authority, or by itself without one.
func (p pki) issue(name string, template x509.Certificate, ca *x509.Certificate, caKey *ecdsa.PrivateKey) error {
	return p.once(name, func() error {
		serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
		if err != nil {
			return err
		}
		template.SerialNumber = serial
		template.NotBefore = time.Now().Add(-time.Hour) // clocks differ
		template.NotAfter = time.Now().AddDate(certificateYears, 0, 0)
		template.KeyUsage |= x509.KeyUsageDigitalSignature
		key, err := p.newKey(name)
		if err != nil {
			return err
		}
		if ca == nil {
			ca, caKey = &template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, &template, ca, key.Public(), caKey)
		if err != nil {
			return err
		}
		return p.write(name+".crt", "CERTIFICATE", der, 0o644)
	})
}

// once calls write unless the folder has the complete set of the name. The mark is written last: a
// start that was interrupted half-way makes the set anew.
func (p pki) once(name string, write func() error) error {
	mark := p.path("." + name)
	if _, err := os.Stat(mark); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := write(); err != nil {
		return err
	}
	return os.WriteFile(mark, nil, 0o600)
}

func (p pki) newKey(name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, p.write(name+".key", "EC PRIVATE KEY", der, 0o600)
}

func (p pki) write(file, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(p.path(file), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

// writeKubeconfig writes a kubeconfig that stands alone: it holds the certificates.
func (p pki) writeKubeconfig(file, server, user string) error {
	var data [3]string
	for i, name := range []string{"ca.crt", user + ".crt", user + ".key"} {
		text, err := os.ReadFile(p.path(name))
		if err != nil {
			return err
		}
		data[i] = base64.StdEncoding.EncodeToString(text)
	}
	return os.WriteFile(file, fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: harikube
  cluster:
    server: %s
    certificate-authority-data: %s
users:
- name: %s
  user:
    client-certificate-data: %s
    client-key-data: %s
contexts:
- name: harikube
  context:
    cluster: harikube
    user: %[3]s
current-context: harikube
`, server, data[0], user, data[1], data[2]), 0o600)
}

// clientConfig is for a client with the certificate of a name.
func (p pki) clientConfig(name string) (*tls.Config, error) {
	authority, err := os.ReadFile(p.path("ca.crt"))
	if err != nil {
		return nil, err
	}
	certificate, err := tls.LoadX509KeyPair(p.path(name+".crt"), p.path(name+".key"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}}, nil
}

// probe returns a check that a GET of the URL, as administrator, answers 200.
func (p pki) probe(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		config, err := p.clientConfig("admin")
		if err != nil {
			return err
		}
		transport := &http.Transport{TLSClientConfig: config}
		defer transport.CloseIdleConnections()
		client := http.Client{Transport: transport, Timeout: 5 * time.Second}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(response.Body)
			return fmt.Errorf("%s: %s", response.Status, body)
		}
		return nil
	}
}
