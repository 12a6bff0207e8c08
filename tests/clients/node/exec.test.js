// @kubernetes/client-node, unmodified: exec into the container "box" of the pod POD in NAMESPACE.
import * as k8s from "@kubernetes/client-node";
import assert from "node:assert/strict";
import { Readable, Writable } from "node:stream";
import { test } from "node:test";

const config = new k8s.KubeConfig();
config.loadFromDefault();

async function run(command, input) {
  const said = { out: "", err: "" };
  const into = (name) => new Writable({ write: (chunk, _, done) => done(void (said[name] += chunk)) });
  const { NAMESPACE, POD } = process.env;
  const status = await new Promise((resolve, reject) => {
    new k8s.Exec(config)
      .exec(NAMESPACE, POD, "box", command, into("out"), into("err"), input ?? null, false, resolve)
      .then((socket) => socket.on("error", reject), reject);
  });
  return { status, ...said };
}

test("outputs and exit codes", async () => {
  const done = await run(["sh", "-c", "echo out; echo err >&2; exit 7"]);
  assert.deepEqual([done.out, done.err, done.status.status, done.status.reason], ["out\n", "err\n", "Failure", "NonZeroExitCode"]);
  assert.deepEqual(done.status.details.causes, [{ reason: "ExitCode", message: "7" }]);
  assert.equal((await run(["true"])).status.status, "Success");
});

test("stdin", async () => {
  const done = await run(["head", "-c", "5"], Readable.from(["over stdin"]));
  assert.deepEqual([done.out, done.status.status], ["over ", "Success"]);
});
