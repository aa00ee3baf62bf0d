pytest_plugins = ["tests.toy"]
from pathlib import Path
def test_small(project):
    import importlib.util
    with (project.folder/"suites"/"test_small.py").open("a") as f:
        f.write("\n@pytest.mark.parametrize('value', [])\ndef test_extra(predictions, accept, value):\n    pass\n")
    r=project.run(); print(r.out[-3000:], r.status)
    assert 0
