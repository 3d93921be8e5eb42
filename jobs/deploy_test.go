package jobs

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestStoredApplication(t *testing.T) {
	app := Application{
		ID: "app", Revision: 3, Files: map[string][]byte{"main.py": []byte("text")}, Hypha: json.RawMessage(`{"client_id":"c"}`),
		Deployments: []Deployment{
			{Name: "Main", File: "main", Class: "Main", Env: map[string]string{"PLAIN": "1"}, Secrets: map[string]string{"KEY": "a deployment's secret"}},
			{Name: "Sub", File: "sub", Class: "Sub"},
		},
		Record: json.RawMessage(`{"name":"App"}`), Secrets: json.RawMessage(`{"token":"the worker's secret"}`),
	}
	row, err := encode(app)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"a deployment's secret", "the worker's secret"} {
		if strings.Contains(string(row.Spec)+string(row.Record), secret) || !strings.Contains(string(row.Secrets), secret) {
			t.Errorf("%q is not in the column for secrets alone: %s, %s, %s", secret, row.Spec, row.Record, row.Secrets)
		}
	}
	t.Run("comes back as it was", func(t *testing.T) {
		if got, err := decode(row); err != nil || !reflect.DeepEqual(got, app) {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("says that it is being removed", func(t *testing.T) {
		row := row
		row.Removing = true
		if got, err := decode(row); err != nil || !got.Removing {
			t.Errorf("%+v, %v", got, err)
		}
	})
	t.Run("without secrets", func(t *testing.T) {
		row, err := encode(Application{ID: "app"})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := decode(row); err != nil || got.Secrets != nil {
			t.Errorf("%s, %v", got.Secrets, err)
		}
	})
}
