package main

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/apache/openwhisk-client-go/whisk"
)

const greet = `function main({ name = 'stranger', salutation = 'Hello' }) {
  console.log('greeting', name)
  return { greeting: salutation + ', ' + name }
}`

func platform(client *whisk.Client) {
	info, _, err := client.Info.Get()
	must(err)
	say("it has a build", info.Build != "" && info.BuildNo != "")
	// This service cuts the path off the address of the client it is used with.
	other := connect("")
	answer, err := other.Sdks.Install("")
	must(err)
	body, err := io.ReadAll(answer.Body)
	must(err)
	say("runtimes for wskdeploy", fmt.Sprint(answer.StatusCode, " ", strings.Contains(string(body), `"runtimes"`), " ", answer.Header.Get("Content-Type")))
	answer, err = other.Sdks.Install("blackbox.tar.gz")
	must(err)
	say("an SDK", answer.StatusCode)

	fresh := connect(client.AuthToken)
	namespaces, _, err := fresh.Namespaces.List()
	must(err)
	say("namespaces", namespaces)
}

func actions(client *whisk.Client) {
	action := &whisk.Action{
		Name: "greet", Namespace: "_",
		Exec:        &whisk.Exec{Kind: "nodejs:default", Code: text(greet)},
		Parameters:  pairs("salutation", "Hi"),
		Annotations: pairs("of", "tour", "number", 1.5),
		Limits:      &whisk.Limits{Memory: number(128)},
	}
	made, _, err := client.Actions.Insert(action, false)
	must(err)
	say("create", made)
	_, _, err = client.Actions.Insert(action, false)
	say("create again", err)
	made, _, err = client.Actions.Insert(&whisk.Action{Name: "greet", Namespace: "_", Version: "1.0.0", DelAnnotations: []string{"number"}, Annotations: pairs("web-export", true, "raw-http", false, "final", true)}, true)
	must(err)
	say("update", made.Annotations)
	address, err := made.ActionURL(client.Host, "/api", "v1", "")
	must(err)
	say("its address", address)

	got, _, err := client.Actions.Get("greet", false)
	must(err)
	say("get without code", got.Exec)
	got, _, err = client.Actions.Get("greet", true)
	must(err)
	say("get with code", got.Exec)
	record, _, err := client.Actions.Invoke("greet", map[string]interface{}{"name": "Ada"}, true, false)
	must(err)
	say("invoke", record.(map[string]interface{})["response"])
	result, _, err := client.Actions.Invoke("greet", map[string]interface{}{"name": "Ada"}, true, true)
	must(err)
	say("invoke for the result", result)
	accepted, answer, err := client.Actions.Invoke("greet", nil, false, false)
	must(err)
	say("invoke and go", fmt.Sprint(answer.StatusCode, len(accepted.(map[string]interface{})["activationId"].(string))))

	_, _, err = client.Actions.Insert(&whisk.Action{Name: "number", Exec: &whisk.Exec{Kind: "python:default", Code: text("def main(args):\n  return args\n")}}, false)
	must(err)
	result, _, err = client.Actions.Invoke("number", map[string]interface{}{"big": uint64(12345678901234567890)}, true, true)
	must(err)
	say("numbers keep their digits", result)
	_, _, err = client.Actions.Insert(&whisk.Action{Name: "native", Exec: &whisk.Exec{Kind: "blackbox", Image: "openwhisk/dockerskeleton", Code: text("#!/bin/sh\necho '{\"native\": true}'\n")}}, false)
	must(err)
	result, _, err = client.Actions.Invoke("native", nil, true, true)
	must(err)
	say("native", result)
	_, _, err = client.Actions.Insert(&whisk.Action{Name: "both", Exec: &whisk.Exec{Kind: "sequence", Components: []string{"/_/number", "/_/greet"}}}, false)
	must(err)
	result, _, err = client.Actions.Invoke("both", map[string]interface{}{"name": "Grace"}, true, true)
	must(err)
	say("sequence", result)
	list, _, err := client.Actions.List("", &whisk.ActionListOptions{Limit: 2, Skip: 1})
	must(err)
	say("list a page", len(list))
	say("list", listed(client, ""))
}

func number(value int) *int { return &value }

// listed gives the qualified names of actions, and their kind, in order.
func listed(client *whisk.Client, pkg string) []string {
	list, _, err := client.Actions.List(pkg, &whisk.ActionListOptions{})
	must(err)
	names := []string{}
	for _, action := range list {
		names = append(names, fmt.Sprintf("%s %v", qualified(action), action.Annotations.GetValue("exec")))
	}
	sort.Strings(names)
	return names
}

// qualified gives a listed action's name with its package.
func qualified(action whisk.Action) string {
	if parts := strings.SplitN(action.Namespace, "/", 2); len(parts) == 2 {
		return parts[1] + "/" + action.Name
	}
	return action.Name
}

func packages(client *whisk.Client) {
	made, _, err := client.Packages.Insert(&whisk.Package{Name: "tools", Namespace: "_", Publish: truth(true), Parameters: pairs("tone", "dry")}, false)
	must(err)
	say("create", made)
	_, _, err = client.Actions.Insert(&whisk.Action{Name: "tools/show", Namespace: "_", Exec: &whisk.Exec{Kind: "nodejs:default", Code: text("function main(args) { return args }")}, Annotations: pairs("feed", true)}, false)
	must(err)
	_, _, err = client.Actions.Insert(&whisk.Action{Name: "tools/greet", Namespace: "_", Exec: &whisk.Exec{Kind: "nodejs:default", Code: text(greet)}}, false)
	must(err)
	bound, _, err := client.Packages.Insert(&whisk.BindingPackage{Name: "bound", Annotations: pairs("a", 1), Parameters: pairs("tone", "bound"), Binding: whisk.Binding{Namespace: "_", Name: "tools"}}, false)
	must(err)
	say("bind", bound)
	result, _, err := client.Actions.Invoke("bound/show", nil, true, true)
	must(err)
	say("invoke through the binding", result)
	got, _, err := client.Packages.Get("bound")
	must(err)
	say("get the binding", got)
	got, _, err = client.Packages.Get("tools")
	must(err)
	say("get", got)
	updated, _, err := client.Packages.Insert(&whisk.Package{Name: "tools", Namespace: "_", Publish: truth(false), Annotations: pairs("b", 2)}, true)
	must(err)
	say("update", updated)
	list, _, err := client.Packages.List(&whisk.PackageListOptions{Limit: 30})
	must(err)
	names := []string{}
	for _, each := range list {
		names = append(names, each.ToSummaryRowString())
	}
	sort.Strings(names)
	say("list", names)
	say("list actions of a package", listed(client, "tools"))
	_, _, err = client.Packages.Refresh()
	say("refresh", err)
	_, err = client.Packages.Delete("tools")
	say("delete, but full", err)
	_, err = client.Packages.Delete("bound")
	must(err)
}

func triggersAndRules(client *whisk.Client) {
	made, _, err := client.Triggers.Insert(&whisk.Trigger{Name: "visit", Annotations: pairs("of", "tour"), Parameters: pairs("name", "somebody")}, false)
	must(err)
	say("create", made)
	rule, _, err := client.Rules.Insert(&whisk.Rule{Name: "on-visit", Trigger: "/_/visit", Action: "/_/greet"}, false)
	must(err)
	say("create a rule", rule)
	_, _, err = client.Rules.Insert(&whisk.Rule{Name: "on-visit", Trigger: "/_/visit", Action: "/_/greet"}, false)
	say("create it again", err)
	fired, answer, err := client.Triggers.Fire("visit", map[string]interface{}{"name": "Edsger"})
	must(err)
	say("fire", fmt.Sprint(answer.StatusCode, len(fired.ActivationId)))
	var record *whisk.Activation
	until(func() (err error) {
		record, _, err = client.Activations.Get(fired.ActivationId)
		return err
	})
	say("its record", record.Response)
	state, _, err := client.Rules.SetState("on-visit", "inactive")
	must(err)
	say("disable", state)
	rule, _, err = client.Rules.Get("on-visit")
	must(err)
	say("get", rule)
	_, answer, err = client.Triggers.Fire("visit", nil)
	must(err)
	say("fire for nobody", answer.StatusCode)
	_, _, err = client.Rules.SetState("on-visit", "active")
	must(err)
	_, _, err = client.Rules.Insert(&whisk.Rule{Name: "on-visit", Trigger: "/_/visit", Action: "/_/number", Annotations: pairs("a", 1)}, true)
	must(err)
	trigger, _, err := client.Triggers.Get("visit")
	must(err)
	say("get the trigger", trigger)
	triggers, _, err := client.Triggers.List(&whisk.TriggerListOptions{})
	must(err)
	say("list triggers", triggers)
	rules, _, err := client.Rules.List(&whisk.RuleListOptions{})
	must(err)
	say("list rules", rules)
	_, err = client.Rules.Delete("on-visit")
	must(err)
	_, _, err = client.Triggers.Delete("visit")
	must(err)
	_, _, err = client.Triggers.Get("visit")
	say("deleted", err)
}

func activations(client *whisk.Client) {
	record, _, err := client.Actions.Invoke("greet", map[string]interface{}{"name": "Alan"}, true, false)
	must(err)
	id := record.(map[string]interface{})["activationId"].(string)
	var got *whisk.Activation
	until(func() (err error) {
		got, _, err = client.Activations.Get(id)
		return err
	})
	// Whether a container had to be started is not the tour's.
	got.Annotations = got.Annotations[:3]
	say("get", got)
	logs, _, err := client.Activations.Logs(id)
	must(err)
	say("logs", logs.Logs)
	result, _, err := client.Activations.Result(id)
	must(err)
	say("result", result)
	until(func() error {
		list, _, err := client.Activations.List(&whisk.ActivationListOptions{Name: "greet", Limit: 1, Since: got.Start, Docs: true})
		must(err)
		if len(list) == 0 {
			return errors.New("the record is in no list")
		}
		say("list", fmt.Sprint(len(list), list[0].ActivationID == id, " ", list[0].Response.Status, list[0].Logs))
		return nil
	})
	list, _, err := client.Activations.List(&whisk.ActivationListOptions{Limit: 3, Skip: 1})
	must(err)
	say("list a page", fmt.Sprint(len(list), list[0].Duration >= 0, list[0].Version != ""))
	list, _, err = client.Activations.List(&whisk.ActivationListOptions{Upto: 1})
	must(err)
	say("list before", len(list))
	_, _, err = client.Activations.Get("0123456789abcdef0123456789abcdef")
	say("one that is not there", err)
}
