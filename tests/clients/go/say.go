package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

// What differs from run to run, and the word that stands for it in the transcript.
var varying = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "ID"},
	{regexp.MustCompile(`"(start|end|updated)":\d+`), `"$1":TIME`},
	{regexp.MustCompile(`"duration":\d+`), `"duration":SPAN`},
	{regexp.MustCompile(`"key":"(waitTime|initTime)","value":\d+`), `"key":"$1","value":SPAN`},
	{regexp.MustCompile(`\(code [0-9A-Za-z]{32}\)`), "(code TRANSACTION)"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+Z`), "DATE"},
	{regexp.MustCompile(`Valid values are: .*`), "Valid values are: KINDS"},
}

// say prints one line: the step and what came of it.
func say(step string, value interface{}) {
	text := ""
	switch value := value.(type) {
	case error:
		text = "error: " + value.Error()
	case string:
		text = value
	default:
		rendered, err := json.Marshal(value)
		must(err)
		text = string(rendered)
	}
	text = strings.ReplaceAll(text, os.Getenv("TOUR_HOST"), "HOST")
	for _, one := range varying {
		text = one.pattern.ReplaceAllString(text, one.word)
	}
	fmt.Printf("%s: %s\n", step, text)
}

// must ends the tour at what should not have failed.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// until asks for as long as the answer is an error; a tour waits for no fixed time.
func until(ask func() error) {
	end := time.Now().Add(time.Minute)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			panic(err)
		}
		time.Sleep(25 * time.Millisecond)
	}
}
