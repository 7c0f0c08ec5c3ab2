package main

import (
	"bufio"
	"crypto/elliptic"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// registryProcess starts a registry, and gives its address.
func registryProcess(t *testing.T) string {
	t.Helper()
	folder, err := programs()
	must(t, err)
	c := exec.Command(filepath.Join(folder, "registry"), "-port", "0")
	stderr, err := c.StderrPipe()
	must(t, err)
	must(t, c.Start())
	said := bufio.NewReader(stderr)
	line, err := said.ReadString('\n')
	_, port, ok := strings.Cut(strings.TrimSpace(line), "serving on port ")
	drained := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, said)
		close(drained)
	}()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-drained
		_ = c.Wait()
	})
	must(t, err)
	if !ok {
		t.Fatalf("the registry says %q", line)
	}
	return "127.0.0.1:" + port
}

// pushed is a registry that has the images of a release, and these by their names there.
func pushed(t *testing.T, folder string) (string, map[string]v1.Hash) {
	t.Helper()
	host := registryProcess(t) + "/a/b"
	must(t, pushCommand(folder, host, "", t.Output()))
	digests := map[string]v1.Hash{}
	for archive, as := range map[string]string{
		"harikube-image-v0.2.0.tar":           host + "/harikube:v0.2.0",
		"kubernetes-image-v1.37.2-v0.2.0.tar": host + "/kubernetes:v1.37.2-v0.2.0",
	} {
		l, err := openLayout(filepath.Join(folder, archive))
		must(t, err)
		digest, err := v1.NewHash(l.top.Digest)
		must(t, errors.Join(err, l.Close()))
		digests[as] = digest
	}
	return host, digests
}

func TestPush(t *testing.T) {
	folder := copied(t)
	host, digests := pushed(t, folder)
	list := read(t, folder, imagesFile)
	for as, digest := range digests {
		ref, err := name.ParseReference(as)
		must(t, err)
		got, err := remote.Get(ref)
		must(t, err)
		if got.Digest != digest || !strings.Contains(list, digest.String()) {
			t.Errorf("%s is %s, and not %s of\n%s", as, got.Digest, digest, list)
		}
		index, err := got.ImageIndex()
		must(t, err)
		must(t, validate.Index(index))
		m, err := index.IndexManifest()
		must(t, err)
		if len(m.Manifests) != len(architectures) {
			t.Errorf("%s has %d images", as, len(m.Manifests))
		}
	}
	// What is there already may be pushed again.
	must(t, pushCommand(folder, host+"/", "", t.Output()))
}

// A name that is another image's is left to it, and so are all others.
func TestPushLeavesWhatIsOut(t *testing.T) {
	folder := copied(t)
	host := registryProcess(t) + "/a"
	other, err := name.NewTag(host + "/kubernetes:" + testKube + "-" + testVersion)
	must(t, err)
	must(t, remote.WriteIndex(other, empty.Index))
	before, err := digestIn(other)
	must(t, err)
	wantFault(t, pushCommand(folder, host, "", t.Output()), other.String()+" is another image in the registry: "+before+", and not sha256:")
	if after, err := digestIn(other); err != nil || after != before {
		t.Errorf("%s was %s and is %s, %v", other, before, after, err)
	}
	if _, err := remote.Head(other.Repository.Registry.Repo("a", "harikube").Tag(testVersion)); err == nil {
		t.Error("another image was pushed all the same")
	}
	wantFaults(t, pushCommand(folder, "no such:name", "", t.Output()), "no such:name/harikube:v0.2.0 is no name in a registry",
		"no such:name/kubernetes:v1.37.2-v0.2.0 is no name in a registry")
	must(t, os.WriteFile(filepath.Join(folder, "harikube-image-v0.2.0.tar"), nil, 0o644))
	wantFault(t, pushCommand(folder, host+"/new", "", t.Output()), "harikube-image-v0.2.0.tar is not as SHA256SUMS says")
}

func TestPushSignatures(t *testing.T) {
	p := newPair(t, newECDSA(t, elliptic.P256()), false)
	folder := copied(t)
	host, digests := pushed(t, folder)
	wantFault(t, pushSignaturesCommand(folder, host, "", t.Output()), "Nobody has signed it")
	must(t, signCommand(folder, p.key, "", t.Output()))
	wantFault(t, pushSignaturesCommand(folder, host+"/elsewhere", "", t.Output()), "The registry does not have "+host+"/elsewhere/")
	must(t, pushSignaturesCommand(folder, host, p.public, t.Output()))
	// Signed, it is pushed by whoever asks for the key.
	must(t, pushCommand(folder, host, p.public, t.Output()))
	wantFaults(t, pushCommand(folder, host, newPair(t, newEd25519(t), false).public, t.Output()),
		append([]string{"SHA256SUMS was not signed with this key"}, unsignedImages()...)...)
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
