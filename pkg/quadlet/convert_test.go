package quadlet_test

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rootless-pod/pod/pkg/unitfile"
)

// TestCommands: what the commands of services are, byte for byte.
func TestCommands(t *testing.T) {
	t.Parallel()
	const run = program + " run --name systemd-%N --replace --rm "
	tests := []struct {
		name, file string
		more       map[string]string
		key, want  string
	}{
		{
			"x.container", "[Container]\nImage=localhost/i\nExec=sh -c 'echo \"a b\" $HOME' \\\n # why\n \"x\\ty\" ;\n", nil,
			"ExecStart", run + `--cgroups=split --sdnotify=conmon -d localhost/i sh -c "echo \"a b\" $HOME" "x\ty" ";"`,
		},
		{
			"x.container", "[Container]\nImage=localhost/i\nEnvironment=B=1 \"A=x y\" B=2\nLabel=l=1\nAutoUpdate=registry\nGlobalArgs=--log-level debug\nContainersConfModule=/m\nPodmanArgs=--tty \"a b\"\n", nil,
			"ExecStart", program + ` --module=/m --log-level debug run --name systemd-%N --replace --rm --cgroups=split --sdnotify=conmon -d --label io.containers.autoupdate=registry --env "A=x y" --env B=2 --label l=1 --tty "a b" localhost/i`,
		},
		{
			"x.container", "[Container]\nImage=localhost/i\n[Service]\nType=oneshot\n", nil,
			"ExecStart", run + "--cgroups=split localhost/i",
		},
		{
			"x.container", "[Container]\nImage=localhost/i\nNotify=yes\nRunInit=off\nCgroupsMode=no-conmon\n", nil,
			"ExecStart", run + "--cgroups no-conmon --init=false --sdnotify=container -d localhost/i",
		},
		{
			"x.container", "[Container]\nRootfs=/srv/r\nUser=1\nGroup=2\nHostName=\"h\"\nEntrypoint=[\"a\",\"b c\"]\n", nil,
			"ExecStart", run + `--cgroups=split --entrypoint "[\"a\",\"b c\"]" --hostname h --sdnotify=conmon -d --user 1:2 --rootfs /srv/r`,
		},
		{
			"x.container", "[Container]\nImage=localhost/i\nDropCapability=ALL\nAddCapability=NET_RAW CHOWN\nNoNewPrivileges=true\nSecurityLabelDisable=yes\nSeccompProfile=/s.json\nMask=/a:/b \"/c d\"\n", nil,
			"ExecStart", run + `--cgroups=split --sdnotify=conmon -d --security-opt=no-new-privileges --security-opt label=disable --security-opt seccomp=/s.json --cap-drop all --cap-add net_raw --cap-add chown --security-opt mask=/a:/b --security-opt "mask=/c d" localhost/i`,
		},
		{
			"x.container", "[Container]\nImage=localhost/i\nRemapUsers=auto\nRemapUid=0:1:5 1:2:3\nRemapGid=0:1:5\nRemapUidSize=9\n", nil,
			"ExecStart", run + "--cgroups=split --sdnotify=conmon -d --userns auto:uidmapping=0:1:5,uidmapping=1:2:3,gidmapping=0:1:5,size=9 localhost/i",
		},
		{
			"x.container", "[Container]\nImage=localhost/i\nRemapUsers=keep-id\nRemapUid=5\n", nil,
			"ExecStart", run + "--cgroups=split --sdnotify=conmon -d --userns keep-id:uid=5 localhost/i",
		},
		{
			"x.container", "[Container]\nImage=localhost/i\nVolatileTmp=yes\nTmpfs=/run\nAddDevice=-/dev/none:/dev/x -/dev/null\nEnvironmentFile=e.env %h/f\n", nil,
			"ExecStart", run + "--cgroups=split --tmpfs /run --sdnotify=conmon -d --device /dev/null --tmpfs /tmp:rw,size=512M,mode=1777 --env-file SRC/e.env --env-file %h/f localhost/i",
		},
		{
			"x.container", "[Container]\nImage=localhost/i\nReloadCmd=sh -c 'kill -HUP 1'\n", nil,
			"ExecReload", program + ` exec systemd-%N sh -c "kill -HUP 1"`,
		},
		{"x.container", "[Container]\nImage=localhost/i\nReloadSignal=HUP\nContainerName=web\n", nil, "ExecReload", program + " kill --signal HUP web"},
		{"x.container", "[Container]\nImage=localhost/i\nContainerName=web\n", nil, "ExecStopPost", "-" + program + " rm -v -f -i web"},
		{
			"x@.container", "[Container]\nImage=localhost/i:%i\n", nil,
			"ExecStart", program + " run --name systemd-%p_%i --replace --rm --cgroups=split --sdnotify=conmon -d localhost/i:%i",
		},
		{
			"x.container", "[Container]\nImage=b.build\nNetwork=n.network:ip=10.0.0.5\nNetwork=y.container\nNetwork=host\nVolume=v.volume:/v:Z\nVolume=./rel:/r\nVolume=/anon\nVolume=/a b:/c\nMount=src=v.volume,type=volume,dst=/d,\"opt=a,b\" type=tmpfs,dst=/t type=image,source=i.image,dst=/i\n",
			map[string]string{
				"b.build": "[Build]\nImageTag=localhost/b:1\nSetWorkingDirectory=unit\n", "n.network": "[Network]\nNetworkName=net\n",
				"v.volume": "[Volume]\n", "y.container": minimal(".container"), "i.image": "[Image]\nImage=localhost/other\n",
			},
			"ExecStart", run + `--cgroups=split --network net:ip=10.0.0.5 --network container:systemd-y --network host --sdnotify=conmon -d --volume systemd-v:/v:Z --volume SRC/rel:/r --volume /anon --volume "/a b:/c" --mount type=volume,source=systemd-v,dst=/d,opt=a,b --mount type=tmpfs,dst=/t --mount type=image,source=localhost/other,dst=/i localhost/b:1`,
		},
		{
			"x.volume", "[Volume]\nVolumeName=data\nDevice=tmpfs\nType=tmpfs\nOptions=size=1m\nUser=5\nGroup=6\nCopy=no\nLabel=a=b\nUID=1\nGID=2\n", nil,
			"ExecStart", program + " volume create --ignore --opt nocopy --opt device=tmpfs --opt type=tmpfs --opt o=uid=5,gid=6,size=1m --uid 1 --gid 2 --label a=b data",
		},
		{
			"x.volume", "[Volume]\nDriver=image\nImage=i.image\n",
			map[string]string{"i.image": "[Image]\nImage=localhost/i\nImageTag=localhost/j\n"},
			"ExecStart", program + " volume create --ignore --driver image --opt image=localhost/j systemd-x",
		},
		{
			"x.network", "[Network]\nSubnet=10.0.0.0/24\nGateway=10.0.0.1\nSubnet=10.1.0.0/24\nIPRange=10.0.0.0/25\nOptions=mtu=9000 isolate=true\nIPv6=yes\nInternal=no\n", nil,
			"ExecStart", program + " network create --ignore --internal=false --ipv6 --subnet 10.0.0.0/24 --gateway 10.0.0.1 --ip-range 10.0.0.0/25 --subnet 10.1.0.0/24 --opt isolate=true --opt mtu=9000 systemd-x",
		},
		{"x.network", "[Network]\nNetworkDeleteOnStop=yes\n", nil, "ExecStopPost", program + " network rm systemd-x"},
		{
			"x.image", "[Image]\nImage=localhost/i\nAllTags=yes\nTLSVerify=no\nPolicy=newer\n", nil,
			"ExecStart", program + " image pull --policy newer --all-tags --tls-verify=false localhost/i",
		},
		{"x.artifact", "[Artifact]\nArtifact=localhost/a\nQuiet=yes\nRetry=3\n", nil, "ExecStart", program + " artifact pull --retry 3 --quiet localhost/a"},
		{
			"x.build", "[Build]\nImageTag=localhost/b\nImageTag=localhost/c\nFile=sub/Containerfile\nSetWorkingDirectory=file\nBuildArg=A=b\nPull=newer\n", nil,
			"ExecStart", program + " build --pull=newer --tag localhost/b --tag localhost/c --build-arg A=b --file sub/Containerfile SRC/sub",
		},
		{"x.build", "[Build]\nImageTag=localhost/b\nSetWorkingDirectory=https://example.org/x.git\n", nil, "ExecStart", program + " build --tag localhost/b https://example.org/x.git"},
		{"x.build", "[Build]\nImageTag=localhost/b\nSetWorkingDirectory=ctx\n", nil, "WorkingDirectory", "SRC"},
		{"x.build", "[Build]\nImageTag=localhost/b\nFile=/f\n[Service]\nWorkingDirectory=/w\n", nil, "ExecStart", program + " build --tag localhost/b --file /f"},
		{
			"x.pod", "[Pod]\nPodName=p\nPublishPort=80:80\nExitPolicy=continue\nPodmanArgs=--uts host\nUserNS=keep-id\n", nil,
			"ExecStartPre", program + " pod create --infra-conmon-pidfile=%t/%N.pid --replace --exit-policy continue --userns keep-id --publish 80:80 --infra-name p-infra --name p --uts host",
		},
		{"x.pod", "[Pod]\nStopTimeout=3\n", nil, "ExecStop", program + " pod stop --ignore --time=3 systemd-x"},
		{
			"x.container", "[Container]\nImage=localhost/i\nPod=p.pod\n",
			map[string]string{"p.pod": "[Pod]\nServiceName=q\n"},
			"ExecStart", run + "--cgroups=split --sdnotify=conmon -d --pod systemd-p localhost/i",
		},
	}
	for _, tc := range tests {
		t.Run(tc.file, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{tc.name: tc.file}
			maps.Copy(files, tc.more)
			service, wrong := converted(t, files, tc.name)
			if len(wrong) > 0 {
				t.Fatal(wrong)
			}
			source, _ := service.Get("Unit", "SourcePath")
			want := strings.ReplaceAll(tc.want, "SRC", strings.TrimSuffix(source.Text, "/"+tc.name))
			if got, _ := service.Get("Service", tc.key); got.Text != want {
				t.Errorf("%s=%s\nwant %s", tc.key, got.Text, want)
			}
		})
	}
}

// TestUnits: dependencies and what else stands in [Unit] and [Service].
func TestUnits(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"p.pod":        "[Pod]\n",
		"a.container":  "[Unit]\nAfter=db.container foo.target x.network\nUpholds=t@one.container\n[Container]\nImage=localhost/i\nPod=p.pod\nVolume=/srv/data:/d\n[Service]\nKillMode=control-group\nSyslogIdentifier=me\n",
		"b.container":  "[Container]\nImage=localhost/i\nPod=p.pod\nStartWithPod=no\n[Quadlet]\nDefaultDependencies=no\n",
		"c.container":  "[Container]\nImage=localhost/i\nPod=p.pod\nRunInit=maybe\n",
		"t@.container": "[Container]\nImage=localhost/i\nPod=p.pod\n",
		"db.container": "[Container]\nImage=localhost/i\nServiceName=database\n",
		"x.network":    "[Network]\n",
		"v.volume":     "[Volume]\nType=bind\nDevice=/srv/v\n",
	}
	tests := []struct {
		name, section, key string
		want               []string
	}{
		{"a.container", "Unit", "After", []string{"pod-user-wait-network-online.service", "database.service foo.target x-network.service", "p-pod.service"}},
		{"a.container", "Unit", "Upholds", []string{"t@one.service"}},
		{"a.container", "Unit", "BindsTo", []string{"p-pod.service"}},
		{"a.container", "Unit", "RequiresMountsFor", []string{"%t/containers", "/srv/data"}},
		{"a.container", "Service", "KillMode", []string{"control-group"}},
		{"a.container", "Service", "SyslogIdentifier", []string{"me"}},
		{"a.container", "X-Container", "Image", []string{"localhost/i"}},
		{"b.container", "Unit", "Wants", nil},
		{"b.container", "Unit", "After", []string{"p-pod.service"}},
		{"p.pod", "Unit", "Wants", []string{"pod-user-wait-network-online.service", "a.service"}},
		{"p.pod", "Unit", "Before", []string{"a.service"}},
		{"v.volume", "Unit", "RequiresMountsFor", []string{"%t/containers", "/srv/v"}},
	}
	for _, tc := range tests {
		t.Run(tc.name+"/"+tc.key, func(t *testing.T) {
			t.Parallel()
			service, _ := converted(t, files, tc.name)
			var got []string
			for _, v := range service.All(tc.section, tc.key) {
				got = append(got, v.Text)
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%s = %q, want %q", tc.key, got, tc.want)
			}
		})
	}
}

// TestProblems: one line each, with file, line, and what to do.
func TestProblems(t *testing.T) {
	t.Parallel()
	const c = "[Container]\nImage=localhost/i\n"
	tests := []struct {
		name, file string
		want       []string
	}{
		{"x.container", c + "Imagee=x\n", []string{`x.container:3: unknown key "Imagee" in [Container]: did you mean "Image"?`}},
		{"x.container", c + "Banana=x\n", []string{`x.container:3: unknown key "Banana" in [Container]: .container files have 94 keys there; see docs/reference/quadlet.md`}},
		{"x.container", c + "[Quadlet]\nDefaultDependency=no\n", []string{`x.container:4: unknown key "DefaultDependency" in [Quadlet]: did you mean "DefaultDependencies"?`}},
		{"x.container", c + "[Quadlet]\nDefaultDependencies=perhaps\n", []string{`x.container:4: DefaultDependencies=perhaps: true or false is expected`}},
		{"x.container", c + "RunInit=maybe\nPidsLimit=many\nHealthRetries=-1\nHealthInterval=soon\nHealthOnFailure=die\nNotify=2\n", []string{
			"x.container:3: RunInit=maybe: true or false is expected", "x.container:4: PidsLimit=many: a number is expected",
			"x.container:5: HealthRetries=-1: a number that is not negative is expected", "x.container:6: HealthInterval=soon: a duration is expected, as 30s or 1m30s",
			"x.container:7: HealthOnFailure=die: none, kill, restart, stop is expected", "x.container:8: Notify=2: true, false or healthy is expected",
		}},
		{"x.container", c + "ExposeHostPort=web\n", []string{"x.container:3: ExposeHostPort=web: a port is expected, as 80, 80-90 or 53/udp"}},
		{"x.container", c + "Network\n", []string{`x.container:3: "Network": a section, KEY=VALUE or a comment is expected (missing '=')`}},
		{"x.container", c + "Network=web.network\n", []string{"x.container:3: network web.network: no such unit; make web.network beside this file, or correct Network"}},
		{"x.container", c + "Network=ne.network:ip=1\n", []string{"x.container:3: network ne.network: no such unit: did you mean net.network?"}},
		{"x.container", c + "Network=o.container:ip=1\n", []string{"x.container:3: Network=o.container:ip=1: the network of another container takes no options"}},
		{"x.container", c + "Volume=no.volume:/a\nPod=no.pod\nMount=type=volume,source=no.volume,dst=/x\n", []string{
			"x.container:3: volume no.volume: no such unit; make no.volume beside this file, or correct Volume",
			"x.container:4: pod no.pod: no such unit; make no.pod beside this file, or correct Pod",
			"x.container:5: volume no.volume: no such unit; make no.volume beside this file, or correct Mount",
		}},
		{"x.container", c + "Volume=:/a\nMount=type=bind,source=,dst=/x\nMount='type=\"'\n", []string{
			"x.container:3: Volume=:/a: nothing stands before ':'", "x.container:4: Mount=type=bind,source=,dst=/x: the source is empty",
			`x.container:5: Mount=type=": options with commas between them are expected: parse error on line 1, column 6: bare " in non-quoted-field`,
		}},
		{"x.container", c + "Pod=p\nPod=p\n", []string{"x.container:4: Pod=p: the name of a .pod file is expected"}},
		{"x.container", "[Container]\nImage=x.build\n", []string{"x.container:2: build x.build: no such unit; make x.build beside this file, or correct Image"}},
		{"x.container", c + "Network=x.container\n", []string{"x.container:3: Network: x.container refers to itself"}},
		{"x.container", c + "Network=t@.container\n", []string{"x.container:3: Network: only systemd knows the name of what t@.container makes; give it a name without specifiers"}},
		{"x.container", c + "Network=broken.network\n", []string{
			"broken.network:1: \"x\": a section, KEY=VALUE or a comment is expected (missing '=')",
			"x.container:3: Network: network broken.network could not be read, for the reasons said above",
		}},
		{"x.container", "[Unit]\nAfter=missing.container\n" + c, []string{"x.container:2: missing.container: no such unit; make missing.container beside this file, or correct After"}},
		{"x.container", "[Container]\n", []string{"x.container:1: there is neither Image nor Rootfs in [Container]"}},
		{"x.container", "[Unit]\nDescription=x\n", []string{"x.container:1: there is no section [Container]", "x.container:1: there is neither Image nor Rootfs in [Container]"}},
		{"x.container", c + "Rootfs=/r\n", []string{"x.container:3: Image and Rootfs are both set: a container has one of them"}},
		{"x.container", c + "Group=5\n", []string{"x.container:3: Group is set without User: set both, as User=0 and Group=5"}},
		{"x.container", c + "ReloadCmd=a\nReloadSignal=HUP\n", []string{"x.container:4: ReloadCmd and ReloadSignal are both set: a service is reloaded in one way"}},
		{"x.container", c + "UserNS=auto\nRemapUsers=auto\n", []string{"x.container:4: RemapUsers and a key that it was replaced by (UserNS, UIDMap, GIDMap, SubUIDMap, SubGIDMap) are both set"}},
		{"x.container", c + "RemapUid=1\n", []string{"x.container:3: RemapUid is set without RemapUsers: use UserNS, UIDMap and GIDMap"}},
		{"x.container", c + "RemapUsers=some\n", []string{"x.container:3: RemapUsers=some: manual, auto or keep-id is expected"}},
		{"x.container", c + "[Service]\nUser=dev\nDynamicUser=yes\n", []string{
			"x.container:4: User in [Service] is not supported: the container runs as whom the service manager is; User in [Container] chooses the user within",
			"x.container:5: DynamicUser in [Service] is not supported: the container runs as whom the service manager is; User in [Container] chooses the user within",
		}},
		{"x.container", c + "[Service]\nType=simple\nKillMode=process\n", []string{
			"x.container:4: Type=simple in [Service] is not supported for .container files: use notify or oneshot",
			"x.container:5: KillMode=process in [Service] is not supported for .container files: use mixed or control-group",
		}},
		{"x.container", c + "ServiceName=../x\n", []string{`x.container:3: "../x.service" is no name of a service: letters, digits and :-_.\@ are allowed`}},
		{"x y.container", c, []string{`x y.container:1: "x y.service" is no name of a service: letters, digits and :-_.\@ are allowed`}},
		{"z.container", c + "ServiceName=o\n", []string{"z.container:1: o.service is the service of DIR/o.container already: give one of them another ServiceName"}},
		{"x.volume", "[Volume]\nType=nfs\nOptions=ro\nUser=dev\n", []string{
			"x.volume:2: Type is set without Device: what is to be mounted?", "x.volume:3: Options is set without Device: what is to be mounted?",
			"x.volume:4: User=dev: a number that is not negative is expected",
		}},
		{"x.volume", "[Volume]\nDriver=image\n", []string{"x.volume:1: there is no Image in [Volume], which Driver=image needs"}},
		{"x.network", "[Network]\nGateway=10.0.0.1\n", []string{"x.network:2: Gateway=10.0.0.1 has no Subnet: each belongs to the Subnet of the same number"}},
		{"x.build", "[Build]\n", []string{"x.build:1: there is no ImageTag in [Build]", "x.build:1: there is neither File nor SetWorkingDirectory in [Build]: set one of them"}},
		{"x.build", "[Build]\nImageTag=localhost/i\nFile=Containerfile\n", []string{"x.build:3: File=Containerfile: a relative path needs SetWorkingDirectory, for example SetWorkingDirectory=unit"}},
		{"x.build", "[Build]\nImageTag=localhost/i\nSetWorkingDirectory=file\n", []string{"x.build:3: SetWorkingDirectory=file is set without File"}},
		{"x.image", "[Image]\n", []string{"x.image:1: there is no Image in [Image]"}},
		{"x.artifact", "[Artifact]\n", []string{"x.artifact:1: there is no Artifact in [Artifact]"}},
		{"x.pod", "[Pod]\nExitPolicy=never\nStopTimeout=long\n", []string{"x.pod:2: ExitPolicy=never: continue, stop is expected", "x.pod:3: StopTimeout=long: a number is expected"}},
		{"x.kube", "[Kube]\nYaml=x\n", []string{`x.kube:1: ".kube" files are not supported yet: pod does not read Kubernetes YAML; write .container and .pod files`}},
		{"x.kube", "[Kube]\nYml=x\n", []string{`x.kube:1: ".kube" files are not supported yet: pod does not read Kubernetes YAML; write .container and .pod files`, `x.kube:2: unknown key "Yml" in [Kube]: did you mean "Yaml"?`}},
	}
	for _, tc := range tests {
		t.Run(tc.file, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"net.network": "[Network]\n", "o.container": c, "t@.container": c}
			if strings.Contains(tc.file, "broken") {
				files["broken.network"] = "x\n"
			}
			files[tc.name] = tc.file
			service, wrong := converted(t, files, tc.name)
			for i, w := range wrong {
				if at := strings.Index(w, "/o.container already"); at >= 0 {
					wrong[i] = w[:strings.Index(w, "of /")] + "of DIR" + w[at:]
				}
			}
			if !slices.Equal(wrong, tc.want) {
				t.Errorf("got  %q\nwant %q", wrong, tc.want)
			}
			if service != nil {
				t.Errorf("there is a service:\n%s", service)
			}
			if other, _ := converted(t, files, "o.container"); other == nil {
				t.Error("another file's service is missing")
			}
		})
	}
}

// TestWarnings are of services that are made.
func TestWarnings(t *testing.T) {
	t.Parallel()
	const c = "[Container]\nImage=localhost/i\n"
	tests := []struct{ file, want string }{
		{"[Container]\nImage=nginx\n", "x.container:2: Warning: nginx is not a fully qualified image name: name the registry too, as docker.io/library/nginx"},
		{c + "Environment=FOO\n", "x.container:3: Warning: Environment=FOO is ignored: NAME=VALUE is expected"},
		{c + "Exec=it's\n", "x.container:3: Warning: Exec has a quote without its pair: it is taken to end with the line"},
		{c + "[Instal]\nWantedBy=x.target\n", "x.container:3: Warning: unknown section [Instal] is ignored: did you mean [Install]?"},
		{c + "[Install]\nWantedBy=a/b.target x\n", "x.container:4: Warning: WantedBy=a/b.target is ignored: it is no name of a unit"},
		{c + "[Install]\nAlias=y.target\n", "x.container:4: Warning: Alias=y.target is ignored: an alias is another name that ends with .service"},
	}
	for _, tc := range tests {
		t.Run(tc.file, func(t *testing.T) {
			t.Parallel()
			s, problems := set(t, map[string]string{"x.container": tc.file})
			results := s.Convert()
			if len(results) != 1 || results[0].Service == nil || len(problems) > 0 {
				t.Fatalf("%v, %v", results, problems)
			}
			if p := results[0].Problems; len(p) == 0 || !p[0].Warning || !strings.HasSuffix(p[0].String(), tc.want) {
				t.Errorf("got  %v\nwant %s", p, tc.want)
			}
		})
	}
}

func TestResources(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, file, service, resource string }{
		{"x.container", minimal(".container"), "x.service", "systemd-x"},
		{"x.container", "[Container]\nImage=i\nServiceName=y\n", "y.service", "systemd-y"},
		{"x.container", "[Container]\nImage=i\nServiceName=y.service\nContainerName=a-%n-%p-%%\n", "y.service", "a-y.service-y-%%"},
		{"x@a-b.container", minimal(".container"), "x@a-b.service", "systemd-x_a-b"},
		{"x@a-b.container", "[Container]\nImage=i\nContainerName=c%I%j%U\n", "x@a-b.service", "ca/bx%U"},
		{"x@.container", minimal(".container"), "x@.service", ""},
		{"x@.container", "[Container]\nImage=i\nContainerName=%p\n", "x@.service", "x"},
		{"a-b.container", "[Container]\nImage=i\nContainerName=%j\n", "a-b.service", "b"},
		{"x.container", "[Container]\nImage=i\nContainerName=a%i\n", "x.service", "a"},
		{"x.volume", "[Volume]\n", "x-volume.service", "systemd-x"},
		{"x.network", "[Network]\nServiceName=n\n", "n.service", "systemd-x"},
		{"x.pod", "[Pod]\nPodName=\"p\"\n", "x-pod.service", "p"},
		{"x.image", "[Image]\nImage=i\n", "x-image.service", "i"},
		{"x.build", "[Build]\nImageTag=a\nImageTag=b\n", "x-build.service", "a"},
		{"x.artifact", "[Artifact]\nArtifact=a\n", "x-artifact.service", "a"},
	}
	for _, tc := range tests {
		t.Run(tc.name+tc.file, func(t *testing.T) {
			t.Parallel()
			s, problems := set(t, map[string]string{tc.name: tc.file})
			u := s.Lookup(tc.name)
			if u == nil || len(problems) > 0 {
				t.Fatal(problems)
			}
			if u.Service != tc.service || u.Resource() != tc.resource {
				t.Errorf("%s makes %q, want %s, %q", u.Service, u.Resource(), tc.service, tc.resource)
			}
		})
	}
}

// FuzzConvert: no file breaks the generator, and every service is a unit file.
func FuzzConvert(f *testing.F) {
	for _, seed := range []string{
		"[Container]\nImage=localhost/i\nExec=a 'b c' \\\n;\n", "[Container]\nImage=x.image\nNetwork=y.network:z\nVolume=.:/x\nMount=source=,src,type=bind\n",
		"[Container]\nRemapUsers=auto\nRemapUid=1\nMount=\"\"\nAddDevice=-\nUser=\nServiceName=@\n", "[Install]\nWantedBy=%i.target %\nAlias=..service\nDefaultInstance=a/b\n",
		"[Pod]\nPodName=%n%i%", "[Build]\nImageTag=a\nFile=%%\nSetWorkingDirectory=%\n", "[Network]\nSubnet=\nGateway=a\n", "[Volume]\nDriver=image\nImage=x.build\n",
	} {
		for _, name := range []string{"x.container", "x@.container", "x@a.container", "x.pod", "x.build", "x.network", "x.volume"} {
			f.Add(name, seed)
		}
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		if strings.ContainsAny(name, "/\x00") || len(name) > 100 {
			return
		}
		s, _ := set(t, map[string]string{"y.network": "[Network]\n", "x" + name: text})
		for _, r := range s.Convert() {
			if r.Service == nil {
				continue
			}
			if _, err := unitfile.Parse(r.Service.Name, []byte(r.Service.Text)); err != nil {
				t.Fatalf("%v\n%s", err, r.Service.Text)
			}
			for _, l := range r.Service.Links {
				if strings.Count(l.Name, "/") > 1 || strings.HasPrefix(l.Name, ".") {
					t.Fatalf("a link named %q", l.Name)
				}
			}
		}
	})
}

// TestPaths: names of directories and files stay themselves in services.
func TestPaths(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"a b%c/x.container":     minimal(".container") + "Volume=./d:/d\nEnvironmentFile=e\n",
		"evil\n[Service]/y.pod": "[Pod]\n",
		"b/x.build":             "[Build]\nImageTag=localhost/i\nSetWorkingDirectory=unit\n",
	}
	service, wrong := converted(t, files, "x.container")
	source, _ := service.Get("Unit", "SourcePath")
	dir := strings.TrimSuffix(source.Text, "/x.container")
	if !strings.HasSuffix(dir, "/a b%%c") {
		t.Errorf("SourcePath=%s", source.Text)
	}
	if mounts, _ := service.Get("Unit", "RequiresMountsFor"); mounts.Text != `"`+dir+`/d"` {
		t.Errorf("RequiresMountsFor=%s", mounts.Text)
	}
	if words := command(t, service, "ExecStart"); !slices.Contains(words, dir+"/e") || !slices.Contains(words, dir+"/d:/d") {
		t.Errorf("%q", words)
	}
	if len(wrong) != 1 || !strings.HasSuffix(wrong[0], `y.pod":1: there are control characters in the path: rename the directory`) {
		t.Errorf("%q", wrong)
	}
}
