// Command certificates makes what the API server and its store show each other, for as long as a pod lives:
//
//	certificates SERVER_DIR CLIENT_DIR
//
// An authority signs one certificate for the store, at localhost, and one for its client, and its key is forgotten. Into each
// folder go ca.crt, tls.crt and tls.key. Folders that have them from before, as when the container runs again in the
// same pod, are left as they are: one side may have read them.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// A pod does not live longer. Clocks of nodes differ, so it begins before now.
const (
	life   = 20 * 365 * 24 * time.Hour
	before = 24 * time.Hour
)

func main() {
	if len(os.Args) != 3 {
		fail(errors.New("usage: certificates SERVER_DIR CLIENT_DIR"))
	}
	server, client := os.Args[1], os.Args[2]
	if complete(server, client) {
		fmt.Println("certificates: they are there already")
		return
	}
	if err := issue(server, client, time.Now()); err != nil {
		fail(err)
	}
	fmt.Println("certificates: an authority that nobody has the key of, one for the store, one for its client")
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "certificates:", err)
	os.Exit(1)
}

// complete tells whether both folders have a pair that one and the same authority has signed.
func complete(server, client string) bool {
	serverAuthority, err := os.ReadFile(filepath.Join(server, "ca.crt"))
	if err != nil {
		return false
	}
	clientAuthority, err := os.ReadFile(filepath.Join(client, "ca.crt"))
	if err != nil || string(serverAuthority) != string(clientAuthority) {
		return false
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(serverAuthority) {
		return false
	}
	for folder, usage := range map[string]x509.ExtKeyUsage{server: x509.ExtKeyUsageServerAuth, client: x509.ExtKeyUsageClientAuth} {
		pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key"))
		if err != nil {
			return false
		}
		options := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}}
		if _, err := pair.Leaf.Verify(options); err != nil {
			return false
		}
	}
	return true
}

func issue(server, client string, now time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	authority := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "harikube-store-ca"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := sign(authority, authority, &key.PublicKey, key, now)
	if err != nil {
		return err
	}
	// As others will read it: with the identifier of its key.
	if authority, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	err = pair(server, authority, key, now, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "harikube-store"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	})
	if err != nil {
		return err
	}
	return pair(client, authority, key, now, &x509.Certificate{
		Subject:     pkix.Name{CommonName: "harikube-store-client"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// pair writes a new key, what the authority says of it, and the authority.
func pair(folder string, authority *x509.Certificate, by *ecdsa.PrivateKey, now time.Time, leaf *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := sign(leaf, authority, &key.PublicKey, by, now)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	// The group is that of the volume: whoever of the pod is meant to read it, whatever its user.
	return errors.Join(
		write(folder, "ca.crt", "CERTIFICATE", authority.Raw, 0o644),
		write(folder, "tls.crt", "CERTIFICATE", der, 0o644),
		write(folder, "tls.key", "PRIVATE KEY", private, 0o640))
}

func sign(of, authority *x509.Certificate, public *ecdsa.PublicKey, by *ecdsa.PrivateKey, now time.Time) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	of.SerialNumber = serial
	of.NotBefore, of.NotAfter = now.Add(-before), now.Add(life)
	return x509.CreateCertificate(rand.Reader, of, authority, public, by)
}

func write(folder, name, kind string, der []byte, mode os.FileMode) error {
	path := filepath.Join(folder, name)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}
