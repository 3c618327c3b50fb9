@echo off
rem Installs what is in this folder, an unzipped kitbag bundle, with a Python of this machine.
rem install.cmd [OPTIONS]; the options are those of "kitbag install".
setlocal
for %%P in ("py -3" "python" "python3") do (
    %%~P -I -S -B -c "import sys; sys.exit(sys.version_info < (3, 9))" >nul 2>nul
    if not errorlevel 1 (
        %%~P -I -B "%~dp0__main__.py" install %*
        goto :done
    )
)
echo kitbag needs Python 3.9 or newer, and there is none on the PATH: install one.>&2
exit /b 5
:done
exit /b %errorlevel%
