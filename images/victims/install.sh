#!/bin/sh
# Install a Triton server that runs Python models on a processor: install.sh FOLDER [torch]. A second call costs nothing.
# With the word torch it also runs victims that cannot be said in ONNX and are served as TorchScript (800 MB more).
# FOLDER/tritonserver starts it with the libraries, backends and Python that go together.
set -eu
folder=$1
want="nvidia-pytriton==0.7.0 numpy==1.26.4 onnxruntime==1.31.1"
torch=""
[ "${2:-}" != torch ] || torch="torch==2.13.*"
if [ "$(cat "$folder/installed" 2>/dev/null)" = "$want $torch" ] && [ -x "$folder/tritonserver" ]; then
    exit 0
fi
python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12), (3, 13)))'; then
    echo "triton: $python is not Python 3.11 to 3.13" >&2
    exit 1
fi
rm -rf "$folder/venv" "$folder/installed"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
"$python" -m venv "$folder/venv"
# Without its dependencies: those of pytriton are for its own client, which is not used here. numpy 2 inside the server
# gives empty tensors.
# shellcheck disable=SC2086 # one word a package
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps $want
if [ -n "$torch" ]; then
    "$folder/venv/bin/pip" install --quiet --disable-pip-version-check "$torch" numpy==1.26.4
fi
site=$("$folder/venv/bin/python3" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
libraries=$("$folder/venv/bin/python3" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')
version=$("$folder/venv/bin/python3" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
triton=$site/pytriton/tritonserver
rm -rf "$folder/backends"
mkdir -p "$folder/backends"
cp -R "$triton/backends/python" "$folder/backends/python"
cp "$triton/python_backend_stubs/$version/triton_python_backend_stub" "$folder/backends/python/"
chmod 755 "$folder/backends/python/triton_python_backend_stub" "$triton/bin/tritonserver"
cat >"$folder/tritonserver" <<END
#!/bin/sh
# The models' Python is the first on PATH; the stub also needs that Python's own library.
export PATH="$folder/venv/bin:\$PATH"
export LD_LIBRARY_PATH="$libraries:$site/nvidia_pytriton.libs"
exec "$triton/bin/tritonserver" --backend-directory="$folder/backends" "\$@"
END
chmod 755 "$folder/tritonserver"
echo "$want $torch" >"$folder/installed"
