package main

import (
	"crypto/elliptic"
	"io"
	"log"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// pushed is a registry that has the images of a release, as `make push` leaves them.
func pushed(t *testing.T, folder string) (string, map[string]v1.Hash) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://") + "/a/b"
	digests := map[string]v1.Hash{}
	for archive, as := range map[string]string{
		"harikube-image-v0.2.0.tar":           host + "/harikube:v0.2.0",
		"kubernetes-image-v1.37.2-v0.2.0.tar": host + "/kubernetes:v1.37.2-v0.2.0",
	} {
		unpacked := t.TempDir()
		if out, err := exec.Command("tar", "-xf", filepath.Join(folder, archive), "-C", unpacked).CombinedOutput(); err != nil {
			t.Fatalf("tar: %v: %s", err, out)
		}
		p, err := ocilayout.FromPath(unpacked)
		must(t, err)
		all, err := p.ImageIndex()
		must(t, err)
		m, err := all.IndexManifest()
		must(t, err)
		index, err := all.ImageIndex(m.Manifests[0].Digest)
		must(t, err)
		ref, err := name.ParseReference(as)
		must(t, err)
		must(t, remote.WriteIndex(ref, index))
		digests[as] = m.Manifests[0].Digest
	}
	return host, digests
}

func TestPushSignatures(t *testing.T) {
	p := newPair(t, newECDSA(t, elliptic.P256()), false)
	folder := copied(t)
	host, digests := pushed(t, folder)
	wantFault(t, pushSignaturesCommand(folder, host, "", t.Output()), "Nobody has signed it")
	must(t, signCommand(folder, p.key, "", t.Output()))
	wantFault(t, pushSignaturesCommand(folder, host+"/elsewhere", "", t.Output()), "The registry does not have "+host+"/elsewhere/")
	must(t, pushSignaturesCommand(folder, host, p.public, t.Output()))
	for as, digest := range digests {
		repository, _, _ := strings.Cut(as, ":v")
		ref, err := name.ParseReference(repository + ":" + signatureTag(digest.String()))
		must(t, err)
		image, err := remote.Image(ref)
		must(t, err)
		layers, err := image.Layers()
		must(t, err)
		if len(layers) != 1 {
			t.Fatalf("%s has %d layers", ref, len(layers))
		}
		r, err := layers[0].Compressed()
		must(t, err)
		content, err := io.ReadAll(r)
		must(t, err)
		if !strings.Contains(string(content), digest.String()) {
			t.Errorf("%s is about something else: %s", ref, content)
		}
	}
}
