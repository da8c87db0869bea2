#include "io/hdf5.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "unit/core/expect_error.h"
#include "unit/core/scratch.h"

namespace acm::io {
namespace {

TEST(Hdf5, ErrorsOfTheSystemKeepTheirFault) {
  const Scratch scratch;
  const QuietHdf5 quiet;
  const std::string path = scratch / "no-such-folder/a.h5";
  const auto create = [&] { Hdf5Id(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, 0, 0), H5Fclose, "write " + path); };
  expect_error(Fault::kResource, "cannot write " + path + ": No such file or directory", create);
  // As HDF5 reports a full disk; really failing to close a file would leave the library unable to end cleanly.
  H5Eclear2(H5E_DEFAULT);
  H5Epush2(H5E_DEFAULT, __FILE__, __func__, 1, H5E_ERR_CLS, H5E_IO, H5E_WRITEERROR,
           "file write failed: errno = %d, error message = 'No space left on device', total write size = 8", ENOSPC);
  expect_error(Fault::kResource, "cannot close it: No space left on device; free some space",
               [] { check_hdf5(-1, "close it"); });
}

TEST(Hdf5, ErrorsOfTheLibraryKeepItsWords) {
  const QuietHdf5 quiet;
  expect_error(Fault::kResource,
               "cannot do it: HDF5 says: ", [] { check_hdf5(H5Tset_size(H5T_NATIVE_INT, 0), "do it"); });
}

TEST(Hdf5, IsQuietOnlyWhileAsked) {
  H5E_auto2_t before = nullptr, within = nullptr, after = nullptr;
  void* data = nullptr;
  H5Eget_auto2(H5E_DEFAULT, &before, &data);
  {
    const QuietHdf5 quiet;
    H5Eget_auto2(H5E_DEFAULT, &within, &data);
  }
  H5Eget_auto2(H5E_DEFAULT, &after, &data);
  EXPECT_EQ(within, nullptr);
  EXPECT_EQ(before, after);
}

}  // namespace
}  // namespace acm::io
