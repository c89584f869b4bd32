package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/apache/openwhisk-client-go/whisk"
)

// ended shows an error as wsk does: its text and the code that the program would end with.
func ended(err error) string {
	whisked := err.(*whisk.WskError)
	return fmt.Sprintf("%s [exit %d, application %t]", whisked.Error(), whisked.ExitCode, whisked.ApplicationError)
}

func failures(client *whisk.Client) {
	_, _, err := connect("00000000-0000-0000-0000-000000000000:wrong").Actions.List("", &whisk.ActionListOptions{})
	say("wrong key", ended(err))
	_, _, err = connect("").Actions.List("", &whisk.ActionListOptions{})
	say("no key", ended(err))
	_, _, err = client.Actions.Get("absent", true)
	say("unknown action", ended(err))
	_, _, err = client.Actions.Invoke("absent/action", nil, true, false)
	say("unknown package", ended(err))
	_, _, err = client.Actions.Insert(&whisk.Action{Name: "greet", Exec: &whisk.Exec{Kind: "nodejs:default", Code: text(greet)}}, false)
	say("conflict", ended(err))
	_, _, err = client.Actions.Insert(&whisk.Action{Name: "bad!name", Exec: &whisk.Exec{Kind: "nodejs:default", Code: text(greet)}}, false)
	say("bad name", ended(err))
	_, _, err = client.Actions.Insert(&whisk.Action{Name: "cobol", Exec: &whisk.Exec{Kind: "cobol:60", Code: text(greet)}}, false)
	say("unknown kind", ended(err))
	_, _, err = client.Actions.List("", &whisk.ActionListOptions{Limit: 1000})
	say("bad limit", ended(err))
	_, _, err = client.Rules.Insert(&whisk.Rule{Name: "lost", Trigger: "/_/absent", Action: "/_/greet"}, false)
	say("a rule for nothing", ended(err))

	friend := connect(os.Getenv("TOUR_OTHER_KEY"))
	friend.Namespace = "guest"
	_, _, err = friend.Actions.Get("greet", true)
	say("what is not yours", ended(err))

	for _, failing := range []struct {
		name, body string
		limit      int
	}{
		{"says", "return { error: 'no more' }", 60000},
		{"nested", "return { error: { custom: { error: 'deep' } } }", 60000},
		{"throws", "throw new Error('thrown')", 60000},
		{"slow", "return new Promise(() => {})", 5000},
	} {
		code := "function main() { " + failing.body + " }"
		_, _, err = client.Actions.Insert(&whisk.Action{Name: failing.name, Exec: &whisk.Exec{Kind: "nodejs:default", Code: text(code)}, Limits: &whisk.Limits{Timeout: number(failing.limit)}}, false)
		must(err)
		_, _, err = client.Actions.Invoke(failing.name, nil, true, false)
		say(failing.name, ended(err))
		result, _, err := client.Actions.Invoke(failing.name, nil, true, true)
		say(failing.name+", for the result", ended(err))
		say("what came", result)
	}
}

// overTls talks to a host without a scheme, which means HTTPS, with and without a look at the certificate.
func overTls(client *whisk.Client) {
	for _, insecure := range []bool{false, true} {
		host := os.Getenv("TOUR_SECURE_HOST")
		base, err := whisk.GetURLBase(host, "/api")
		must(err)
		secure, err := whisk.NewClient(nil, &whisk.Config{Host: host, BaseURL: base, AuthToken: client.AuthToken, Insecure: insecure})
		must(err)
		list, _, err := secure.Packages.List(&whisk.PackageListOptions{})
		if err != nil {
			// Go has not always said the first words.
			text := strings.ReplaceAll(ended(err), "tls: failed to verify certificate: ", "")
			say("the certificate of its own", strings.ReplaceAll(text, host, "HOST"))
			continue
		}
		say("without a look at it", len(list))
	}
}
