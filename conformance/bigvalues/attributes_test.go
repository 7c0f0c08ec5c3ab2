package bigvalues

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	boxes = "/registry/big.test/boxes/default/"
	// One box in so many is red.
	red = 10
	// rangeFields is the number of the field selector in a range.
	rangeFields = 15
)

// definition is the one of boxes, whose selectable fields are the paths.
func definition(fields ...string) string {
	var paths []string
	for _, path := range fields {
		paths = append(paths, fmt.Sprintf(`{"jsonPath":%q}`, path))
	}
	return fmt.Sprintf(`{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
		"metadata":{"name":"boxes.big.test","uid":"d0000000-0000-0000-0000-000000000000"},
		"spec":{"group":"big.test","scope":"Namespaced","names":{"plural":"boxes","kind":"Box"},"versions":[
		{"name":"v1","served":true,"storage":true,"selectableFields":[%s],"schema":{"openAPIV3Schema":{"type":"object","properties":
		{"spec":{"type":"object","properties":{"color":{"type":"string"},"size":{"type":"integer"},"data":{"type":"string"}}}}}}}]}}`, strings.Join(paths, ","))
}

// gatheringOfAttributes makes the store read all values, twice: big ones that are there before the definition that says
// what can be selected, and before that says more.
func (s *store) gatheringOfAttributes(t *testing.T) {
	ctx := s.timed(t)
	data := base64.StdEncoding.EncodeToString(noise[:len(noise)/4*3])
	s.each(t, func(i int) error {
		color := "blue"
		if i%red == 0 {
			color = "red"
		}
		_, err := s.client.Put(ctx, box(i), fmt.Sprintf(`{"apiVersion":"big.test/v1","kind":"Box",
			"metadata":{"name":"b%05d","namespace":"default"},"spec":{"data":%q,"color":%q,"size":%d}}`, i, data, color, i%red))
		return err
	})
	const name = "/registry/apiextensions.k8s.io/customresourcedefinitions/boxes.big.test"
	for _, step := range []struct{ definition, selector string }{
		{definition(".spec.color"), "spec.color=red"},
		{definition(".spec.color", ".spec.size"), "spec.size=0"},
	} {
		if _, err := s.client.Put(s.timed(t), name, step.definition); err != nil {
			t.Fatal(err)
		}
		s.onlyRed(t, step.selector)
	}
	for _, key := range []string{boxes, name} {
		if _, err := s.client.Delete(s.timed(t), key, clientv3.WithPrefix()); err != nil {
			t.Fatal(err)
		}
	}
}

func box(i int) string { return fmt.Sprintf("%sb%05d", boxes, i) }

// onlyRed waits until a range with a selector has nothing but what it selects. Before, it may have more, never less.
func (s *store) onlyRed(t *testing.T, selector string) {
	t.Helper()
	var want []string
	for i := 0; i < s.keys; i += red {
		want = append(want, box(i))
	}
	ctx := s.timed(t)
	for {
		got, err := pb.NewKVClient(s.client.ActiveConnection()).Range(ctx, &pb.RangeRequest{
			Key: []byte(boxes), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(boxes)), KeysOnly: true,
			XXX_unrecognized: protowire.AppendString(protowire.AppendTag(nil, rangeFields, protowire.BytesType), selector),
		})
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, kv := range got.Kvs {
			keys = append(keys, string(kv.Key))
		}
		if slices.Equal(keys, want) {
			return
		}
		for _, key := range want {
			if !slices.Contains(keys, key) {
				t.Fatalf("%s: %s is not there", selector, key)
			}
		}
		time.Sleep(50 * time.Millisecond) // nothing tells a client when it is done
	}
}
