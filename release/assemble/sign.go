package main

import (
	"archive/tar"
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// signCommand signs SHA256SUMS, and by it every file; and each image by its digest, since in a registry it has no other name
// that lasts. A release that is not as it should be is not signed.
func signCommand(dist, keyFile, pubkey string, stdout io.Writer) error {
	key, err := readPrivateKey(keyFile)
	if err != nil {
		return err
	}
	if pubkey != "" {
		public, err := readPublicKey(pubkey)
		if err != nil {
			return err
		}
		if !samePublicKey(key.Public(), public) {
			return fmt.Errorf("The key is not the one of which %s is the public half.", printable(pubkey))
		}
	}
	unlock, err := lock(dist)
	if err != nil {
		return err
	}
	defer unlock()
	// Earlier signatures, perhaps of another key or another release, go first: until the end the release is unsigned. So does what a
	// run left that was killed.
	for _, name := range []string{signatureFile, signaturesFile, besideOf(signatureFile), besideOf(signaturesFile)} {
		if err := os.RemoveAll(filepath.Join(dist, name)); err != nil {
			return fmt.Errorf("%s cannot be written: %w.", name, err)
		}
	}
	r, err := verify(dist, nil)
	if err != nil {
		return errors.Join(err, fmt.Errorf("So nothing was signed."))
	}
	when, err := time.Parse(time.RFC3339, r.Time)
	if err != nil {
		return fmt.Errorf("%s has no time.", metadataFile)
	}
	sums, err := readRegular(filepath.Join(dist, sumsFile))
	if err != nil {
		return err
	}
	signature, err := signBytes(key, sums)
	if err != nil {
		return err
	}
	images, err := imageSignatures(key, r.digests(), when)
	if err != nil {
		return err
	}
	// SHA256SUMS.sig comes last: where it is, everything is.
	for _, file := range []struct {
		name    string
		content []byte
	}{{signaturesFile, images}, {signatureFile, signature}} {
		beside := filepath.Join(dist, besideOf(file.name))
		_, _, err := writeFile(beside, when, func(w io.Writer) error {
			_, err := w.Write(file.content)
			return err
		})
		if err == nil {
			err = os.Rename(beside, filepath.Join(dist, file.name))
		}
		if err != nil {
			return errors.Join(fmt.Errorf("%s cannot be written: %w.", file.name, err), os.RemoveAll(beside))
		}
	}
	if _, err := verify(dist, key.Public()); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s %s is signed: %s and %d images, by the key %s.\n", r.Name, r.Version, sumsFile, len(r.digests()), fingerprint(key.Public()))
	return nil
}

// besideOf is where a file is while it is written.
func besideOf(name string) string { return "." + name + ".new" }

// Types of cosign's signatures.
const (
	layoutContent       = `{"imageLayoutVersion":"1.0.0"}`
	manifestType        = "application/vnd.oci.image.manifest.v1+json"
	indexType           = "application/vnd.oci.image.index.v1+json"
	configType          = "application/vnd.oci.image.config.v1+json"
	simpleSigningType   = "application/vnd.dev.cosign.simplesigning.v1+json"
	signatureAnnotation = "dev.cosignproject.cosign/signature"
	signedType          = "cosign container image signature"
)

// payload is what is signed of an image.
type payload struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]string `json:"optional"`
}

// signatureTag is where cosign looks for the signature of an image: a tag beside it.
func signatureTag(digest string) string { return strings.Replace(digest, ":", "-", 1) + ".sig" }

// imageSignatures makes an OCI layout in a tar with cosign's signature of each image, under the name that it has in the registry.
func imageSignatures(key crypto.Signer, images []imageDigest, when time.Time) ([]byte, error) {
	blobs := map[string][]byte{}
	put := func(mediaType string, content []byte) descriptor {
		d := descriptor{MediaType: mediaType, Digest: digestOf(content), Size: int64(len(content))}
		blobs[d.Digest] = content
		return d
	}
	putJSON := func(mediaType string, value any) (descriptor, error) {
		content, err := json.Marshal(value)
		return put(mediaType, content), err
	}
	index := manifest{SchemaVersion: 2, MediaType: indexType}
	for _, image := range images {
		var p payload
		p.Critical.Identity.Reference = image.ref
		p.Critical.Image.Digest = image.digest
		p.Critical.Type = signedType
		layer, err := putJSON(simpleSigningType, p)
		if err != nil {
			return nil, err
		}
		signature, err := signBytes(key, blobs[layer.Digest])
		if err != nil {
			return nil, err
		}
		layer.Annotations = map[string]string{signatureAnnotation: base64.StdEncoding.EncodeToString(signature)}
		config, err := putJSON(configType, map[string]any{
			"architecture": "", "os": "", "config": map[string]any{},
			"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layer.Digest}},
		})
		if err != nil {
			return nil, err
		}
		m, err := putJSON(manifestType, manifest{
			SchemaVersion: 2, MediaType: manifestType, Config: &config, Layers: []descriptor{layer},
		})
		if err != nil {
			return nil, err
		}
		repository, _, _ := strings.Cut(image.ref, ":")
		m.Annotations = map[string]string{refAnnotation: repository + ":" + signatureTag(image.digest)}
		index.Manifests = append(index.Manifests, m)
	}
	content, err := json.Marshal(index)
	if err != nil {
		return nil, err
	}
	files := tree{"oci-layout": {content: []byte(layoutContent)}, "index.json": {content: content}}
	for digest, blob := range blobs {
		files["blobs/sha256/"+strings.TrimPrefix(digest, "sha256:")] = node{content: blob}
	}
	var out bytes.Buffer
	t := tar.NewWriter(&out)
	for _, name := range sortedKeys(files) {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[name].content)), ModTime: when, Format: tar.FormatPAX}
		if err := errors.Join(t.WriteHeader(h), second(t.Write(files[name].content))); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), t.Close()
}

func second(_ int, err error) error { return err }

// readImageSignatures gives the names of the images that are signed, by their digests; with a key those only that it signed.
func readImageSignatures(file string, key crypto.PublicKey) (map[string]string, error) {
	l, index, err := openBlobs(file)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	signed := map[string]string{}
	var f faults
	for _, d := range index.Manifests {
		var m manifest
		if err := l.json(d, &m); err != nil {
			f.add("%s is broken: %w.", signaturesFile, err)
			continue
		}
		if len(m.Layers) != 1 || m.Layers[0].MediaType != simpleSigningType {
			f.add("%s has something that is no signature.", signaturesFile)
			continue
		}
		content, err := l.blob(m.Layers[0])
		if err != nil {
			f.add("%s is broken: %w.", signaturesFile, err)
			continue
		}
		var p payload
		if err := json.Unmarshal(content, &p); err != nil || p.Critical.Type != signedType {
			f.add("%s has something that is no signature.", signaturesFile)
			continue
		}
		ref, digest := p.Critical.Identity.Reference, p.Critical.Image.Digest
		repository, _, _ := strings.Cut(ref, ":")
		if d.Annotations[refAnnotation] != repository+":"+signatureTag(digest) {
			f.add("%s has the signature of %s under another name.", signaturesFile, printable(ref))
		}
		signature, err := base64.StdEncoding.DecodeString(m.Layers[0].Annotations[signatureAnnotation])
		if err != nil || key != nil && !signedBy(key, content, signature) {
			f.add("The image %s (%s) was not signed with this key.", printable(ref), printable(digest))
			signed[digest] = ref // and no more is said of it
			continue
		}
		signed[digest] = ref
	}
	return signed, f.err()
}
