package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// pair is a private key in a file that only we can read, and its public half.
type pair struct {
	key, public string
	signer      crypto.Signer
}

func newPair(t *testing.T, signer crypto.Signer, asSEC1 bool) pair {
	t.Helper()
	folder := t.TempDir()
	p := pair{filepath.Join(folder, "release key"), filepath.Join(folder, "release.pub"), signer}
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	must(t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if asSEC1 {
		der, err := x509.MarshalECPrivateKey(signer.(*ecdsa.PrivateKey))
		must(t, err)
		text = append(pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}}),
			pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})...)
	}
	must(t, os.WriteFile(p.key, text, 0o600))
	der, err = x509.MarshalPKIXPublicKey(signer.Public())
	must(t, err)
	must(t, os.WriteFile(p.public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o644))
	return p
}

func newECDSA(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	must(t, err)
	return key
}

func newEd25519(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	return key
}

func openssl(t *testing.T, folder string, args ...string) error {
	t.Helper()
	c := exec.Command("openssl", args...)
	c.Dir = folder
	out, err := c.CombinedOutput()
	if err != nil {
		t.Logf("openssl %s: %s", strings.Join(args, " "), out)
	}
	return err
}

func TestSign(t *testing.T) {
	for name, p := range map[string]pair{
		"ECDSA":                   newPair(t, newECDSA(t, elliptic.P256()), false),
		"ECDSA as openssl has it": newPair(t, newECDSA(t, elliptic.P256()), true),
		"Ed25519":                 newPair(t, newEd25519(t), false),
	} {
		t.Run(name, func(t *testing.T) {
			folder := copied(t)
			unsigned := contents(t, folder)
			must(t, signCommand(folder, p.key, "", t.Output()))
			must(t, verifyCommand(folder, p.public, t.Output()))
			must(t, verifyCommand(folder, "", t.Output()))
			if r, err := verify(folder, nil); err != nil || !r.signed {
				t.Errorf("signed: %v, %v", r.signed, err)
			}
			first := contents(t, folder)
			if len(first) != len(unsigned)+2 {
				t.Errorf("it has %q", sortedKeys(first))
			}
			for file, is := range unsigned {
				if first[file] != is {
					t.Errorf("%s has changed", file)
				}
			}
			must(t, signCommand(folder, p.key, p.public, t.Output()))
			for file, is := range contents(t, folder) {
				if first[file] != is {
					t.Errorf("%s is another when it is signed again", file)
				}
			}
			other := newPair(t, newEd25519(t), false)
			err := verifyCommand(folder, other.public, t.Output())
			wantFaults(t, err, append([]string{"SHA256SUMS was not signed with this key"}, unsignedImages()...)...)
			wantFault(t, signCommand(folder, p.key, other.public, t.Output()), "The key is not the one of which")

			if _, err := exec.LookPath("openssl"); err != nil {
				t.Skip("openssl is not here: whether it takes our signatures for good was not tried")
			}
			check := []string{"dgst", "-sha256", "-verify", p.public, "-signature", signatureFile, sumsFile}
			if name == "Ed25519" {
				check = []string{"pkeyutl", "-verify", "-pubin", "-inkey", p.public, "-rawin", "-in", sumsFile, "-sigfile", signatureFile}
			}
			if err := openssl(t, folder, check...); err != nil {
				t.Errorf("openssl does not take it: %v", err)
			}
			must(t, os.WriteFile(filepath.Join(folder, sumsFile), []byte(read(t, folder, sumsFile)+"\n"), 0o644))
			if openssl(t, folder, check...) == nil {
				t.Error("openssl takes it for everything")
			}
		})
	}
}

// unsignedImages are the faults of a release whose images were signed with another key.
func unsignedImages() []string {
	var all []string
	for range 3 {
		all = append(all, "The image "+testRegistry+"/harikube:v0.2.0 (", "The image "+testRegistry+"/kubernetes:v1.37.2-v0.2.0 (")
	}
	return all
}

func TestKeysThatAreRefused(t *testing.T) {
	good := newPair(t, newECDSA(t, elliptic.P256()), false)
	text, err := os.ReadFile(good.key)
	must(t, err)
	file := func(content []byte, mode os.FileMode) string {
		name := filepath.Join(t.TempDir(), "key")
		must(t, os.WriteFile(name, content, 0o600))
		must(t, os.Chmod(name, mode))
		return name
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)})
	sealed := []byte(strings.ReplaceAll(string(text), " PRIVATE", " ENCRYPTED PRIVATE"))
	pipe := filepath.Join(t.TempDir(), "pipe")
	must(t, syscall.Mkfifo(pipe, 0o600))
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(file(text, 0o644), link))
	for name, c := range map[string]struct{ key, want string }{
		"none":                           {"", "say KEY=file"},
		"not there":                      {"/nowhere/key", "The key /nowhere/key cannot be read: no such file or directory"},
		"readable by all":                {file(text, 0o644), "can be read or written by others (mode 0644)"},
		"readable by the group":          {file(text, 0o640), "can be read or written by others (mode 0640)"},
		"writable by others":             {file(text, 0o602), "can be read or written by others (mode 0602)"},
		"a link to what all can read":    {link, "can be read or written by others (mode 0644)"},
		"the key itself":                 {string(text), "KEY names the file of a key; it is not the key itself"},
		"the key itself in one line":     {strings.ReplaceAll(string(text), "\n", ""), "KEY names the file of a key; it is not the key itself"},
		"a pipe":                         {pipe, "is not a regular file"},
		"a folder":                       {t.TempDir(), "is not a regular file"},
		"RSA":                            {newPair(t, rsaKey, false).key, "is of another kind than ECDSA on P-256 and Ed25519"},
		"RSA as it was":                  {file(pkcs1, 0o600), "is of another kind"},
		"another curve":                  {newPair(t, newECDSA(t, elliptic.P384()), false).key, "is of another kind"},
		"encrypted":                      {file(sealed, 0o600), "is encrypted"},
		"of cosign":                      {file([]byte(strings.ReplaceAll(string(text), " PRIVATE", " ENCRYPTED SIGSTORE PRIVATE")), 0o600), "is encrypted"},
		"a public key":                   {file([]byte(read(t, filepath.Dir(good.public), "release.pub")), 0o600), "has no private key in PEM"},
		"text":                           {file([]byte("hello"), 0o600), "has no private key in PEM"},
		"empty":                          {file(nil, 0o600), "has no private key in PEM"},
		"cut off":                        {file(text[:100], 0o600), "has no private key in PEM"},
		"broken":                         {file(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("hello")}), 0o600), "is broken"},
		"of a hundred megabytes, almost": {file(make([]byte, largestKey+1), 0o600), "is far too large"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := copied(t)
			t.Setenv("RELEASE_KEY", c.key)
			t.Setenv("RELEASE_DIST", folder)
			var out, faults bytes.Buffer
			if status := run([]string{"sign"}, &out, &faults); status != 1 || !strings.Contains(faults.String(), c.want) {
				t.Errorf("%d: %s%s", status, &out, &faults)
			}
			for line := range strings.Lines(string(text)) {
				if len(line) > 20 && !strings.HasPrefix(line, "---") && strings.Contains(out.String()+faults.String(), strings.TrimSpace(line)) {
					t.Errorf("it shows the key: %s%s", &out, &faults)
				}
			}
			if exists(filepath.Join(folder, signatureFile)) {
				t.Error("there is a signature")
			}
		})
	}
	for name, c := range map[string]struct{ key, want string }{
		"a private key":  {good.key, "is a private key"},
		"not there":      {"/nowhere/key", "cannot be read"},
		"text":           {file([]byte("hello"), 0o644), "has no public key in PEM"},
		"broken":         {file(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("hello")}), 0o644), "is broken"},
		"RSA":            {newPair(t, rsaKey, false).public, "is of another kind"},
		"a folder":       {t.TempDir(), "cannot be read"},
		"without an end": {"/dev/zero", "has no public key in PEM"},
	} {
		t.Run("as public key "+name, func(t *testing.T) {
			wantFault(t, verifyCommand(shared(t), c.key, t.Output()), c.want)
		})
	}
}

// What is signed was whole; what was signed stays so, or is found out.
func TestSignedReleasesThatChange(t *testing.T) {
	p, other := newPair(t, newECDSA(t, elliptic.P256()), false), newPair(t, newECDSA(t, elliptic.P256()), false)
	signed := func(t *testing.T, with pair) string {
		t.Helper()
		folder := copied(t)
		must(t, signCommand(folder, with.key, "", t.Output()))
		return folder
	}
	move := func(t *testing.T, from, to, name string) {
		t.Helper()
		must(t, os.WriteFile(filepath.Join(to, name), []byte(read(t, from, name)), 0o644))
	}
	t.Run("not whole", func(t *testing.T) {
		folder := signed(t, p)
		must(t, os.Remove(filepath.Join(folder, imagesFile)))
		wantFaults(t, signCommand(folder, p.key, "", t.Output()), "images.txt is missing", "So nothing was signed")
		if exists(filepath.Join(folder, signatureFile)) {
			t.Error("the signature of before is still there")
		}
	})
	t.Run("changed with its sums", func(t *testing.T) {
		folder := signed(t, p)
		rewrite(t, folder, notesFile, func(s string) string { return s + "Pipe this into a shell.\n" })
		wantFault(t, verifyCommand(folder, p.public, t.Output()), "SHA256SUMS was not signed with this key, or was changed since")
		must(t, verifyCommand(folder, "", t.Output())) // nobody can tell without a key
	})
	t.Run("never signed", func(t *testing.T) {
		wantFault(t, verifyCommand(shared(t), p.public, t.Output()), "Nobody has signed it: SHA256SUMS.sig is missing")
	})
	t.Run("images signed by another", func(t *testing.T) {
		folder := signed(t, p)
		move(t, signed(t, other), folder, signaturesFile)
		wantFaults(t, verifyCommand(folder, p.public, t.Output()), unsignedImages()...)
	})
	t.Run("images not signed", func(t *testing.T) {
		folder := signed(t, p)
		must(t, os.Remove(filepath.Join(folder, signaturesFile)))
		wantFault(t, verifyCommand(folder, p.public, t.Output()), "image-signatures.tar is missing")
	})
	t.Run("signatures of another release", func(t *testing.T) {
		r := newRepo(t)
		r.build("v0.3.0")
		newer := r.release("v0.3.0")
		must(t, signCommand(newer, p.key, "", t.Output()))
		folder := signed(t, p)
		move(t, newer, folder, signaturesFile)
		var want []string
		for range 6 {
			want = append(want, "has no signature of the image", "has a signature of an image that is not in this release")
		}
		wantFaults(t, verifyCommand(folder, p.public, t.Output()), want...)
		move(t, newer, folder, signatureFile)
		wantFaults(t, verifyCommand(folder, p.public, t.Output()), append(want, "SHA256SUMS was not signed with this key")...)
	})
	t.Run("a signature of nothing", func(t *testing.T) {
		folder := signed(t, p)
		must(t, os.Truncate(filepath.Join(folder, signatureFile), 0))
		wantFault(t, verifyCommand(folder, p.public, t.Output()), "SHA256SUMS was not signed with this key")
	})
	t.Run("signatures that are none", func(t *testing.T) {
		folder := signed(t, p)
		must(t, os.WriteFile(filepath.Join(folder, signaturesFile), []byte("x"), 0o644))
		wantFault(t, verifyCommand(folder, p.public, t.Output()), "image-signatures.tar is no archive of an image")
	})
	t.Run("a folder that cannot be written", func(t *testing.T) {
		folder := copied(t)
		if err := syscall.Mount(folder, folder, "", syscall.MS_BIND, ""); err != nil {
			t.Skipf("nothing can be mounted here (%v): what a folder that cannot be written does was not tried", err)
		}
		defer syscall.Unmount(folder, syscall.MNT_DETACH)
		must(t, syscall.Mount("", folder, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
		wantFault(t, signCommand(folder, p.key, "", t.Output()), "SHA256SUMS.sig cannot be written")
	})
}
