package main

import (
	"fmt"
	"sort"

	"github.com/apache/openwhisk-client-go/whisk"
)

// managed is the annotation by which wskdeploy finds what it deployed.
func managed(hash string) whisk.KeyValue {
	return whisk.KeyValue{Key: "whisk-managed", Value: map[string]interface{}{
		"file": "manifest.yaml", "projectDeps": []interface{}{}, "projectHash": hash, "projectName": "tour",
	}}
}

// deploy writes a project in wskdeploy's order, with its bodies: these actions and rules among the rest.
func deploy(client *whisk.Client, hash string, actions []string, rules []string) {
	mark := whisk.KeyValueArr{managed(hash)}
	_, _, err := client.Packages.Insert(&whisk.Package{Name: "demo", Namespace: "_", Version: "1.0.0", Publish: truth(false), Annotations: mark, Parameters: pairs("tone", "dry")}, true)
	must(err)
	_, _, err = client.Packages.Insert(&whisk.BindingPackage{Name: "helpers", Namespace: "_", Publish: truth(false), Annotations: mark, Binding: whisk.Binding{Namespace: "whisk.system", Name: "utils"}}, true)
	must(err)
	for _, name := range actions {
		code := "function main(args) { return { ...args, " + name + ": true } }"
		_, _, err = client.Actions.Insert(&whisk.Action{Name: "demo/" + name, Namespace: "_", Publish: truth(false), Annotations: mark, Exec: &whisk.Exec{Kind: "nodejs:20", Code: text(code)}, Limits: &whisk.Limits{Timeout: number(60000), Memory: number(128), Logsize: number(1)}}, true)
		must(err)
	}
	_, _, err = client.Actions.Insert(&whisk.Action{Name: "demo/all", Namespace: "_", Publish: truth(false), Annotations: mark, Exec: &whisk.Exec{Kind: "sequence", Components: []string{"/_/demo/first", "/_/demo/second"}}}, true)
	must(err)
	_, _, err = client.Triggers.Insert(&whisk.Trigger{Name: "start", Namespace: "_", Publish: truth(false), Annotations: mark, Parameters: pairs("from", "trigger")}, true)
	must(err)
	for _, name := range rules {
		_, _, err = client.Rules.Insert(&whisk.Rule{Name: name, Namespace: "_", Publish: truth(false), Annotations: mark, Status: "active", Trigger: "/_/start", Action: "/_/demo/all"}, true)
		must(err)
		_, _, err = client.Rules.SetState(name, "active")
		must(err)
	}
}

// stale tells whether an entity belongs to the project, but to an earlier state of it.
func stale(annotations whisk.KeyValueArr, hash string) bool {
	mark, ok := annotations.GetValue("whisk-managed").(map[string]interface{})
	return ok && mark["projectName"] == "tour" && mark["projectHash"] != hash
}

// sweep deletes what the manifest no longer names, found by the annotations of lists.
func sweep(client *whisk.Client, hash string) []string {
	gone := []string{}
	rules, _, err := client.Rules.List(&whisk.RuleListOptions{})
	must(err)
	for _, rule := range rules {
		if stale(rule.Annotations, hash) {
			_, _, err = client.Rules.SetState(rule.Name, "inactive")
			must(err)
			_, err = client.Rules.Delete(rule.Name)
			must(err)
			gone = append(gone, "rule "+rule.Name)
		}
	}
	triggers, _, err := client.Triggers.List(&whisk.TriggerListOptions{})
	must(err)
	for _, trigger := range triggers {
		if stale(trigger.Annotations, hash) {
			_, _, err = client.Triggers.Delete(trigger.Name)
			must(err)
			gone = append(gone, "trigger "+trigger.Name)
		}
	}
	packages, _, err := client.Packages.List(&whisk.PackageListOptions{})
	must(err)
	for _, each := range packages {
		actions, _, err := client.Actions.List(each.Name, &whisk.ActionListOptions{})
		must(err)
		for _, action := range actions {
			if stale(action.Annotations, hash) {
				_, err = client.Actions.Delete(each.Name + "/" + action.Name)
				must(err)
				gone = append(gone, "action "+each.Name+"/"+action.Name)
			}
		}
		if stale(each.Annotations, hash) {
			_, err = client.Packages.Delete(each.Name)
			must(err)
			gone = append(gone, "package "+each.Name)
		}
	}
	sort.Strings(gone)
	return gone
}

func project(client *whisk.Client) {
	deploy(client, "1111111111111111111111111111111111111111", []string{"first", "second", "third"}, []string{"run", "rerun"})
	say("deployed", listed(client, "demo"))
	result, _, err := client.Actions.Invoke("demo/all", nil, true, true)
	must(err)
	say("its sequence", result)
	result, _, err = client.Actions.Invoke("helpers/echo", map[string]interface{}{"a": 1}, true, true)
	must(err)
	say("its dependency", result)
	fired, _, err := client.Triggers.Fire("start", map[string]interface{}{"n": 1})
	must(err)
	until(func() error {
		record, _, err := client.Activations.Get(fired.ActivationId)
		if err == nil && len(record.Logs) != 2 {
			panic(fmt.Sprint(record.Logs))
		}
		return err
	})
	say("swept after the first", sweep(client, "1111111111111111111111111111111111111111"))
	deploy(client, "2222222222222222222222222222222222222222", []string{"first", "second"}, []string{"run"})
	say("swept after the second", sweep(client, "2222222222222222222222222222222222222222"))
	say("deployed again", listed(client, "demo"))
	got, _, err := client.Actions.Get("demo/first", false)
	must(err)
	say("its annotations", got.Annotations)
	say("swept at the end", sweep(client, "none"))
	_, _, err = client.Packages.Get("demo")
	say("undeployed", err)
}
