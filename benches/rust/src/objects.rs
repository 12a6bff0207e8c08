//! Objects of the sizes that clusters have.

/// A pod as a Deployment makes it, as it is stored: some 2.7 KB.
pub fn pod(name: &str, revision: u64, node: &str) -> Vec<u8> {
    let filler = "x".repeat(1800);
    format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{name}","namespace":"default","uid":"6a1f6b1e-8f9b-4a57-9a2e-1b9c2f0a7c11","resourceVersion":"{revision}","creationTimestamp":"2026-01-01T00:00:00Z","labels":{{"app":"web","pod-template-hash":"5d4f8c7b9"}},"annotations":{{"note":"{filler}"}}}},"spec":{{"volumes":[{{"name":"data","emptyDir":{{}}}}],"containers":[{{"name":"web","image":"registry.local/web:1.2.3","command":["/bin/web","--port=8080"],"ports":[{{"containerPort":8080,"protocol":"TCP"}}],"env":[{{"name":"A","value":"1"}},{{"name":"B","value":"2"}}],"resources":{{"limits":{{"cpu":"200m","memory":"128Mi"}},"requests":{{"cpu":"100m","memory":"64Mi"}}}},"volumeMounts":[{{"name":"data","mountPath":"/data"}}],"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent"}}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","nodeName":"{node}","securityContext":{{}},"schedulerName":"default-scheduler"}},"status":{{"phase":"Pending"}}}}"#
    )
    .into_bytes()
}
