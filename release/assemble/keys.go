package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// A key is a PEM file with an ECDSA key on P-256 or an Ed25519 key, and a signature is what `openssl` and `cosign` take for one
// of that key over the bytes themselves: ECDSA in DER over SHA-256, or the 64 bytes of Ed25519.

const largestKey = 64 << 10

// readPrivateKey never says anything of the content of the file, nor of what was given for its name if that may be the key.
func readPrivateKey(name string) (crypto.Signer, error) {
	if name == "" {
		return nil, fmt.Errorf("Signing needs a key: say KEY=file.")
	}
	if strings.Contains(name, "PRIVATE KEY") || strings.ContainsAny(name, "\r\n") || len(name) > 4096 {
		return nil, fmt.Errorf("KEY names the file of a key; it is not the key itself.")
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("The key %s cannot be read: %w.", printable(name), errors.Unwrap(err))
	}
	defer f.Close()
	info, err := f.Stat() // of what is open: the name may lead elsewhere by now
	if err != nil {
		return nil, err
	}
	owner := int(info.Sys().(*syscall.Stat_t).Uid)
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("The key %s is not a regular file.", printable(name))
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("The key %s can be read or written by others (mode %04o): chmod 600.", printable(name), info.Mode().Perm())
	case owner != os.Geteuid() && owner != 0:
		return nil, fmt.Errorf("The key %s belongs to another user.", printable(name))
	case info.Size() > largestKey:
		return nil, fmt.Errorf("The key %s is far too large for one.", printable(name))
	}
	content, err := io.ReadAll(io.LimitReader(f, largestKey))
	if err != nil {
		return nil, fmt.Errorf("The key %s cannot be read: %w.", printable(name), errors.Unwrap(err))
	}
	for {
		block, rest := pem.Decode(content)
		if block == nil {
			return nil, fmt.Errorf("The key %s has no private key in PEM.", printable(name))
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return parsePrivateKey(name, block)
		}
		content = rest // "EC PARAMETERS", as openssl writes in front
	}
}

func parsePrivateKey(name string, block *pem.Block) (crypto.Signer, error) {
	if strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "" {
		return nil, fmt.Errorf("The key %s is encrypted: `openssl pkey` writes it without a password, into memory (/dev/shm).", printable(name))
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("The key %s is broken.", printable(name)) // the reason may quote it
	}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P256() {
			return k, nil
		}
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, fmt.Errorf("The key %s is of another kind than ECDSA on P-256 and Ed25519.", printable(name))
}

// readPublicKeyIf gives no key for no name.
func readPublicKeyIf(name string) (crypto.PublicKey, error) {
	if name == "" {
		return nil, nil
	}
	return readPublicKey(name)
}

func readPublicKey(name string) (crypto.PublicKey, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("The public key %s cannot be read: %w.", printable(name), errors.Unwrap(err))
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, largestKey))
	if err != nil {
		return nil, fmt.Errorf("The public key %s cannot be read: %w.", printable(name), errors.Unwrap(err))
	}
	block, _ := pem.Decode(content)
	if block != nil && strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return nil, fmt.Errorf("%s is a private key, and none of whom verifies: PUBKEY is the public one.", printable(name))
	}
	if block == nil || block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("%s has no public key in PEM.", printable(name))
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("The public key %s is broken.", printable(name))
	}
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return k, nil
		}
	case ed25519.PublicKey:
		return k, nil
	}
	return nil, fmt.Errorf("The public key %s is of another kind than ECDSA on P-256 and Ed25519.", printable(name))
}

// signBytes gives the same signature each time: ECDSA takes its random number from key and message (RFC 6979).
func signBytes(key crypto.Signer, content []byte) ([]byte, error) {
	if k, ok := key.(ed25519.PrivateKey); ok {
		return k.Sign(nil, content, crypto.Hash(0))
	}
	hash := sha256.Sum256(content)
	return key.Sign(nil, hash[:], crypto.SHA256)
}

func signedBy(key crypto.PublicKey, content, signature []byte) bool {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(k, content, signature)
	case *ecdsa.PublicKey:
		hash := sha256.Sum256(content)
		return ecdsa.VerifyASN1(k, hash[:], signature)
	}
	return false
}

func samePublicKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// fingerprint is the SHA-256 of a public key, as `openssl pkey -pubin -outform DER | sha256sum` has it.
func fingerprint(key crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "of a kind without a fingerprint"
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
