// Package policies runs the policies of the folders beside it by the API server's own code: its admission plugin, called as the
// server calls it, with Jobs as the controller of VolSync's kopia fork makes them and with Jobs of others.
//
// Kubernetes 1.36 and later know the policies as v1, 1.34 and 1.35 as v1beta1; go.mod and kubernetes-1.35.mod are one of each.
package policies

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/features"
	"k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/discovery"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/openapi/openapitest"
	sigsyaml "sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the expected Jobs anew")

// What a cluster has of the policies: one of the two for the repository.
var sets = map[string][]string{
	"nfs":   {"restore-image.yaml", "repository-nfs.yaml", "jitter.yaml"},
	"claim": {"restore-image.yaml", "repository-claim.yaml", "jitter.yaml"},
	// Both by mistake: the first one wins, and nothing is mounted twice.
	"both": {"restore-image.yaml", "repository-nfs.yaml", "repository-claim.yaml", "jitter.yaml"},
}

// client is a cluster without a server, which has the published schemas of one.
type client struct{ kubernetes.Interface }

func (c client) Discovery() discovery.DiscoveryInterface { return schemas{c.Interface.Discovery()} }

type schemas struct{ discovery.DiscoveryInterface }

func (schemas) OpenAPIV3() openapi.Client { return openapitest.NewEmbeddedFileClient() }

// version is the version of the policies that this version of Kubernetes runs.
func version() string { return path.Base(reflect.TypeOf(mutating.Policy{}).PkgPath()) }

// decode reads every document of a file, and refuses unknown and doubled fields.
func decode(t *testing.T, file string) []runtime.Object {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	var objects []runtime.Object
	for {
		document, err := documents.Read()
		if err == io.EOF {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		objects = append(objects, object)
	}
}

func job(t *testing.T, file string) *batchv1.Job {
	t.Helper()
	return decode(t, file)[0].(*batchv1.Job)
}

// server is the chain of admission plugins of a server that has these policies.
func server(t *testing.T, files []string) admission.MutationInterface {
	t.Helper()
	objects := []runtime.Object{namespace("media"), namespace("other")}
	for _, file := range files {
		documents := decode(t, filepath.Join("..", version(), file))
		if len(documents) != 2 {
			t.Fatalf("%s: a policy and its binding are expected", file)
		}
		_ = documents[0].(*mutating.Policy)
		_ = documents[1].(*mutating.PolicyBinding)
		objects = append(objects, documents...)
	}
	if err := utilfeature.DefaultMutableFeatureGate.SetFromMap(map[string]bool{
		string(features.MutatingAdmissionPolicy): true,
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	cluster := client{fake.NewClientset(objects...)}
	shared := informers.NewSharedInformerFactory(cluster, 0)
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(batchv1.SchemeGroupVersion.WithKind("Job"), meta.RESTScopeNamespace)
	initialize := initializer.New(cluster, dynamicfake.NewSimpleDynamicClient(scheme.Scheme), shared, nil,
		utilfeature.DefaultFeatureGate, compatibility.DefaultBuildEffectiveVersion(), ctx.Done(), mapper)
	plugins := admission.NewPlugins()
	mutating.Register(plugins)
	chain, err := plugins.NewFromPlugins([]string{mutating.PluginName}, noConfig{}, initialize, admission.DecoratorFunc(
		func(handler admission.Interface, _ string) admission.Interface { return handler }))
	if err != nil {
		t.Fatal(err)
	}
	shared.Start(ctx.Done())
	shared.WaitForCacheSync(ctx.Done())
	return chain.(admission.MutationInterface)
}

type noConfig struct{}

func (noConfig) ConfigFor(string) (io.Reader, error) { return nil, nil }

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// admit sends a Job to the server: a new one if there is no old one. It returns what the server would store.
func admit(t *testing.T, server admission.MutationInterface, new, old *batchv1.Job) *batchv1.Job {
	t.Helper()
	stored := new.DeepCopy()
	operation, options := admission.Create, runtime.Object(&metav1.CreateOptions{})
	var before runtime.Object
	if old != nil {
		operation, options, before = admission.Update, &metav1.UpdateOptions{}, old.DeepCopy()
	}
	request := admission.NewAttributesRecord(stored, before, batchv1.SchemeGroupVersion.WithKind("Job"), new.Namespace, new.Name,
		batchv1.SchemeGroupVersion.WithResource("jobs"), "", operation, options, false, &user.DefaultInfo{Name: "controller"})
	err := server.Admit(context.Background(), request, admission.NewObjectInterfacesFromScheme(scheme.Scheme))
	if err != nil {
		t.Fatalf("%s refused: %v", operation, err)
	}
	return stored
}

func same(t *testing.T, what string, want, got *batchv1.Job) {
	t.Helper()
	if !equality.Semantic.DeepEqual(want, got) {
		t.Errorf("%s: want\n%s\ngot\n%s", what, text(t, want), text(t, got))
	}
}

func text(t *testing.T, job *batchv1.Job) []byte {
	t.Helper()
	text, err := sigsyaml.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func each(t *testing.T, folder string, test func(t *testing.T, name string, job *batchv1.Job)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("jobs", folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no Jobs in %s: %v", folder, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			test(t, filepath.Base(file), job(t, file))
		})
	}
}

func TestMovers(t *testing.T) {
	for set, files := range sets {
		t.Run(set, func(t *testing.T) {
			server := server(t, files)
			each(t, "ours", func(t *testing.T, name string, made *batchv1.Job) {
				stored := admit(t, server, made, nil)
				expected := filepath.Join("expected", set, name)
				if *update {
					os.MkdirAll(filepath.Dir(expected), 0o755)
					os.WriteFile(expected, text(t, stored), 0o644)
				}
				same(t, "created", job(t, expected), stored)
				same(t, "created again", stored, admit(t, server, stored, nil))
				// The controller writes its own template whenever it looks at the Job. What is stored cannot be changed, so it
				// must come out as it was.
				same(t, "written by the controller", stored, admit(t, server, made, stored))
				same(t, "updated as it is", stored, admit(t, server, stored, stored))
				same(t, "of the time before the policies", made, admit(t, server, made, made))
			})
		})
	}
}

func TestJobsOfOthers(t *testing.T) {
	for set, files := range sets {
		t.Run(set, func(t *testing.T) {
			server := server(t, files)
			each(t, "foreign", func(t *testing.T, _ string, made *batchv1.Job) {
				same(t, "created", made, admit(t, server, made, nil))
				same(t, "updated", made, admit(t, server, made, made))
			})
		})
	}
}

// Each policy does its own part, whichever others there are.
func TestPoliciesAlone(t *testing.T) {
	changed := map[string][]string{
		"restore-image.yaml":    {"restore.yaml"},
		"repository-nfs.yaml":   {"backup.yaml", "maintenance-manual.yaml", "maintenance-scheduled.yaml", "restore.yaml"},
		"repository-claim.yaml": {"backup.yaml", "maintenance-manual.yaml", "maintenance-scheduled.yaml", "restore.yaml"},
		"jitter.yaml":           {"backup.yaml"},
	}
	for policy, jobs := range changed {
		t.Run(strings.TrimSuffix(policy, ".yaml"), func(t *testing.T) {
			server := server(t, []string{policy})
			var got []string
			each(t, "ours", func(t *testing.T, name string, made *batchv1.Job) {
				stored := admit(t, server, made, nil)
				if !equality.Semantic.DeepEqual(made, stored) {
					got = append(got, name)
				}
				same(t, "written by the controller", stored, admit(t, server, made, stored))
			})
			if !reflect.DeepEqual(got, jobs) {
				t.Errorf("want %v changed, got %v", jobs, got)
			}
		})
	}
}

// A volume or an init container that a Job brings with it stays, and is not doubled.
func TestWhatIsThereStays(t *testing.T) {
	server := server(t, sets["nfs"])
	made := job(t, "jobs/ours/backup.yaml")
	made.Spec.Template.Spec.InitContainers = []corev1.Container{{Name: "mine", Image: "docker.io/library/busybox:1.37"}}
	stored := admit(t, server, made, nil)
	if got := stored.Spec.Template.Spec.InitContainers; len(got) != 2 || got[0].Name != "mine" || got[1].Name != "jitter" {
		t.Errorf("init containers: %v", got)
	}
	same(t, "written by the controller", stored, admit(t, server, made, stored))

	made = job(t, "jobs/ours/restore.yaml")
	spec := &made.Spec.Template.Spec
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "u-kopia"})
	spec.Containers[0].VolumeMounts = append(spec.Containers[0].VolumeMounts, corev1.VolumeMount{
		Name: "u-kopia", MountPath: "/repository"})
	stored = admit(t, server, made, nil)
	if len(stored.Spec.Template.Spec.Volumes) != len(spec.Volumes) {
		t.Errorf("volumes: %v", stored.Spec.Template.Spec.Volumes)
	}
}
